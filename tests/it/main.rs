//! All integration tests, in one binary: each binary links the whole engine.

mod boundary;
mod crash;
mod demo;
mod docs;
mod page;
mod sites;
mod support;
mod tidy;
