//! The programs behind admission webhooks, and what goes wrong with them.

use wavetank_engine::apiserver::webhooks::WebhookTrouble;
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Duration;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::trace::{Note, What};

use super::{Nanos, Session};
use crate::script::{duration, hints};
use crate::spec::webhooks::full_name;

impl Session {
    /// The program behind a webhook is gone: its connections are refused. The text is for the transcript.
    ///
    /// # Errors
    /// There is no such webhook.
    pub fn webhook_down(&mut self, name: &str) -> Result<String, String> {
        self.trouble_webhook(
            name,
            WebhookTrouble::Down,
            What::FaultBegan { fault: format!("webhook/{name} down").into() },
        )?;
        Ok(format!("webhook/{name} is down"))
    }

    /// The program behind a webhook takes so long for each answer.
    ///
    /// # Errors
    /// There is no such webhook.
    pub fn webhook_slow(&mut self, name: &str, latency: Nanos) -> Result<String, String> {
        let trouble = WebhookTrouble::Slow(Duration::from_nanos(latency));
        let text = duration::text(latency);
        self.trouble_webhook(
            name,
            trouble,
            What::FaultBegan { fault: format!("webhook/{name} slow ({text})").into() },
        )?;
        Ok(format!("webhook/{name} answers after {text}"))
    }

    /// The program behind a webhook is well again.
    ///
    /// # Errors
    /// There is no such webhook.
    pub fn webhook_up(&mut self, name: &str) -> Result<String, String> {
        self.trouble_webhook(name, WebhookTrouble::None, What::FaultEnded { fault: format!("webhook/{name}").into() })?;
        Ok(format!("webhook/{name} is well again"))
    }

    fn trouble_webhook(&mut self, name: &str, trouble: WebhookTrouble, what: What) -> Result<(), String> {
        if !self.world.trouble_webhook(&full_name(name), trouble) {
            let servers = &self.world.setup().webhook_servers;
            let known = servers.iter().map(|server| server.name.trim_end_matches(".wavetank.dev"));
            let hint = hints::did_you_mean(name, known).unwrap_or_default();
            return Err(format!("there is no webhook `{name}`; webhook(name, #{{ … }}) makes one\n{hint}"));
        }
        self.world.note(RecordId(0), Note::new(Agent::Script, what));
        Ok(())
    }
}
