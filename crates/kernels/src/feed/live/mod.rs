//! A feed whose samples are made while the training runs.
//!
//! A feeder process runs the pipeline and answers with one [`block`] for each task that the loader asks for:
//! packed sequences in anonymous memory, or a file of its cache, the descriptor of either passed over a
//! Unix socket ([`channel`]). The loader decides what comes when: [`order`] names tasks and samples from the
//! seed alone, and [`window`] asks for the tasks of the next samples and lets go of those that were used.
//!
//! Nothing here knows pipelines; the feeder is `src/engine/feeder.ts`.

pub mod block;
pub mod build;
pub mod channel;
pub mod memory;
pub mod open;
pub mod order;
pub mod protocol;
pub mod window;
