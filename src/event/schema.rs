//! (skeleton) JSON Schema of one event type, compiled.

/// The schemas of a lane by event type.
#[derive(Clone, Debug, Default)]
pub struct SchemaSet {}
