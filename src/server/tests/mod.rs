//! Tests of the server as a whole, and what its modules' tests share.

mod audit;
mod cases;
pub mod fixtures;
mod laws;
mod live;
mod openapi;
mod pipelines;
pub mod province;
mod replay;
mod rest;
mod rows;
mod stream;
mod wire_ts;
