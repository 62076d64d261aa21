//! Controllers of one's own: how they come into a cluster that runs, and what they have to say.

use std::sync::Arc;

use super::World;
use crate::custom::{CustomController, CustomEvent, CustomProcess, CustomSpec, Told};
use crate::event::Event;
use crate::kernel::out::RecordId;
use crate::process::Process;
use crate::setup::MOST_REPLICAS;

/// Plugins of one's own in a profile.
const MOST_PLUGINS: usize = 16;

impl World {
    /// A controller of one's own joins, with so many replicas, and starts now. The error is for the user: its name is taken, or there
    /// are too many.
    pub fn add_controller(&mut self, spec: CustomSpec, replicas: u8) -> Result<(), String> {
        let spec = Arc::new(spec);
        if self.setup.custom.iter().any(|process| process.spec.name == spec.name) {
            return Err(format!("there is a controller `{}` already", spec.name));
        }
        let most = usize::from(MOST_REPLICAS);
        if self.custom.len() + usize::from(replicas) > most {
            return Err(format!("there can be {most} processes of controllers at most"));
        }
        for replica in 0..replicas {
            let replica = if replicas == 1 { CustomProcess::ONLY } else { replica };
            let process = CustomProcess { spec: spec.clone(), replica };
            let number = self.custom.len() as u8;
            self.custom.push(CustomController::new(number, &process));
            Arc::make_mut(&mut self.setup).custom.push(process);
            let supervised = self.setup.supervised;
            self.supervise(Process::Custom(number), supervised);
            self.now_at(Event::Custom(number, CustomEvent::Start), RecordId(0));
        }
        Ok(())
    }

    /// A plugin of one's own joins schedulers: of one process, or of all; in one profile, or in all. The error is for the user.
    pub fn add_plugin(
        &mut self,
        name: &str,
        filters: bool,
        weight: Option<i64>,
        scheduler: Option<&str>,
        profile: Option<&str>,
    ) -> Result<(), String> {
        let setup = Arc::make_mut(&mut self.setup);
        let (mut processes, mut joined, mut profiles) = (Vec::new(), 0, Vec::new());
        for (spec, running) in setup.schedulers.iter_mut().zip(&mut self.schedulers) {
            processes.push(spec.process.to_string());
            if scheduler.is_some_and(|wanted| *wanted != *spec.process) {
                continue;
            }
            let mut configuration = (*spec.configuration).clone();
            for one in &mut configuration.profiles {
                profiles.push(one.name.to_string());
                if profile.is_some_and(|wanted| *wanted != *one.name) {
                    continue;
                }
                if one.own.names.iter().any(|known| **known == *name) {
                    return Err(format!("the profile {} has a plugin `{name}` already", one.name));
                }
                if one.own.names.len() >= MOST_PLUGINS {
                    return Err(format!("a profile has {MOST_PLUGINS} plugins of one's own at most"));
                }
                one.add_own(&setup.scripts, name, filters, weight);
                joined += 1;
            }
            spec.configuration = Arc::new(configuration);
            running.reconfigure(spec.configuration.clone());
        }
        match (joined, profiles.is_empty()) {
            (0, true) => Err(format!("there is no such scheduler; there are {}", processes.join(", "))),
            (0, false) => Err(format!("there is no such profile; there are {}", profiles.join(", "))),
            _ => Ok(()),
        }
    }

    /// The controllers of one's own, to look at.
    pub fn custom_controllers(&self) -> &[CustomController] {
        &self.custom
    }

    /// Takes what users' functions have to say since the last call.
    pub fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }
}
