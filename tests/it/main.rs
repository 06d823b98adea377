//! The stories that the whole program must tell.

mod admin;
mod architecture;
mod arrival;
mod assign;
mod cli;
mod config;
mod connections;
mod faults;
mod flows;
mod forward;
mod health;
mod hostile;
mod http2;
mod leftovers;
mod operators;
mod reload;
mod shutdown;
mod stages;
mod sticky;
mod support;
mod upstream_h2;
mod tls;
mod wire;
