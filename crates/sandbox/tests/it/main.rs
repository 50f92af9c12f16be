//! The sandbox from outside, over HTTP.

mod sdk;
