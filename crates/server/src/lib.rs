//! The HTTP API, merchant webhooks, metrics and their documentation.
