//! All integration tests, in one binary: each binary links the whole engine.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails loudly and says what it skipped"
)]

mod absences;
mod arrival;
mod boundary;
mod canaries;
mod cli;
mod corpus_archives;
mod corpus_dialects;
mod corpus_drift;
mod corpus_positions;
mod corpus_times;
mod counties;
mod crash;
mod demo;
mod docs;
mod door;
mod environments;
mod explain;
mod faults;
mod feedback;
mod field;
mod functions;
mod geo;
mod hints;
mod hostile;
mod hostile_sets;
mod isolation;
mod keys;
mod killed;
mod nights;
mod notices;
mod oracle_areal;
mod oracle_sets;
mod oracles;
mod page;
mod pull;
mod schedule;
mod shares;
mod sharing;
mod sites;
mod slt;
mod sources;
mod store_faults;
mod support;
mod tidy;
mod town;
mod units;
mod upkeep;
mod warnings;
mod windows;
