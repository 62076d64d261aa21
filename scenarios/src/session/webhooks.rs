//! The programs behind admission webhooks, and what goes wrong with them.

use wavetank_engine::apiserver::webhooks::WebhookTrouble;
use wavetank_engine::faults::Fault;
use wavetank_engine::kernel::Duration;
use wavetank_engine::objects::Name;

use super::{Nanos, Session};
use crate::script::{duration, hints};
use crate::spec::webhooks::full_name;

impl Session {
    /// The program behind a webhook is gone: its connections are refused. The text is for the transcript.
    ///
    /// # Errors
    /// There is no such webhook.
    pub fn webhook_down(&mut self, name: &str) -> Result<String, String> {
        self.trouble_webhook(name, WebhookTrouble::Down, &format!("webhook/{name} down"))?;
        Ok(format!("webhook/{name} is down"))
    }

    /// The program behind a webhook takes so long for each answer.
    ///
    /// # Errors
    /// There is no such webhook.
    pub fn webhook_slow(&mut self, name: &str, latency: Nanos) -> Result<String, String> {
        let trouble = WebhookTrouble::Slow(Duration::from_nanos(latency));
        let text = duration::text(latency);
        self.trouble_webhook(name, trouble, &format!("webhook/{name} slow ({text})"))?;
        Ok(format!("webhook/{name} answers after {text}"))
    }

    /// The program behind a webhook is well again.
    ///
    /// # Errors
    /// There is no such webhook.
    pub fn webhook_up(&mut self, name: &str) -> Result<String, String> {
        let full = self.webhook_named(name)?;
        self.world.trouble_webhook(&full, WebhookTrouble::None);
        self.world.mended(|part| matches!(part, Fault::Webhook { name: other, .. } if *other == full));
        Ok(format!("webhook/{name} is well again"))
    }

    /// The full name of a webhook's program, if there is one.
    fn webhook_named(&self, name: &str) -> Result<Name, String> {
        let full = full_name(name);
        let servers = &self.world.setup().webhook_servers;
        if let Some(server) = servers.iter().find(|server| *server.name == *full) {
            return Ok(server.name.clone());
        }
        let known = servers.iter().map(|server| server.name.trim_end_matches(".wavetank.dev"));
        let hint = hints::did_you_mean(name, known).unwrap_or_default();
        Err(format!("there is no webhook `{name}`; webhook(name, #{{ … }}) makes one\n{hint}"))
    }

    fn trouble_webhook(&mut self, name: &str, trouble: WebhookTrouble, fault: &str) -> Result<(), String> {
        let full = self.webhook_named(name)?;
        self.replace(|part| matches!(part, Fault::Webhook { name: other, .. } if *other == full));
        self.begin_fault(fault, vec![Fault::Webhook { name: full, trouble }]);
        Ok(())
    }
}
