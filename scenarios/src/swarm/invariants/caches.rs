//! Caches.
//!
//! Always: nobody knows of a revision that etcd does not have. Looked at once a second, for every kind at every API server and controller
//! manager.

use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::Kind;

use super::{Around, Broken, Held};

#[derive(Default)]
pub(super) struct Caches {
    next: Option<Instant>,
}

impl Caches {
    pub(super) fn look(&mut self, around: &Around<'_>, furthest: u64) -> Held {
        if self.next.is_some_and(|next| around.now < next) {
            return Ok(());
        }
        self.next = Some(around.now + Duration::from_secs(1));
        let world = around.world;
        for kind in Kind::ALL {
            let servers = world.apiservers().iter().map(|server| server.cache().version(kind));
            let managers = world.controller_managers().iter();
            let managers = managers.filter_map(|manager| Some(manager.caches().informer(kind)?.version()));
            if let Some(ahead) = servers.chain(managers).find(|version| *version > furthest) {
                let text = format!("a cache is at revision {ahead}, etcd at {furthest}");
                return Err(Broken::new("no cache is ahead of the store", format!("{kind:?}"), text));
            }
        }
        Ok(())
    }
}
