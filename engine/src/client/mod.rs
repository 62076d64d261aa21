//! What client-go gives every client of the API server: a connection with its limits, informers, work queues, expectations, the event
//! recorder, leader election; and the way a controller's straight-line reconcile becomes requests and replies.

pub mod agent;
pub mod backoff;
pub mod connection;
pub mod expectations;
pub mod informer;
pub mod leader;
pub mod rate_limit;
pub mod recorder;
pub mod routine;
pub mod store;
pub mod workqueue;

pub use agent::Agent;
pub use connection::Connection;
pub use informer::Informer;
pub use recorder::Recorder;
pub use store::Store;
pub use workqueue::WorkQueue;
