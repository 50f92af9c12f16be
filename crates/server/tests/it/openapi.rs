//! The published OpenAPI document is the code's own.

use crate::world::world;

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
const REFRESH: &str = "REFRESH_OPENAPI=1 cargo nextest run -p server published";

#[test]
fn the_published_document_is_fresh() {
    let mut now = serde_json::to_string_pretty(&server::openapi()).unwrap();
    now.push('\n');
    if std::env::var_os("REFRESH_OPENAPI").is_some() {
        std::fs::write(PUBLISHED, &now).unwrap();
    }
    let published = std::fs::read_to_string(PUBLISHED).unwrap_or_default();
    assert!(published == now, "crates/server/openapi.json is stale; refresh it with: {REFRESH}");
}

#[test]
fn every_route_is_in_the_document() {
    let document = server::openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        routes.extend(item.as_object().unwrap().keys().map(|verb| format!("{verb} {path}")));
    }
    routes.sort();
    assert_eq!(
        routes,
        [
            "delete /v1/maintenance/{id}",
            "get /healthz",
            "get /metrics",
            "get /readyz",
            "get /v1/assist/cases",
            "get /v1/assist/cases/{id}",
            "get /v1/audit",
            "get /v1/availability",
            "get /v1/bank/history/{id}",
            "get /v1/bank/payouts",
            "get /v1/bank/{channel}/statements",
            "get /v1/bank/{channel}/transfers",
            "get /v1/channels",
            "get /v1/config",
            "get /v1/config/versions",
            "get /v1/config/versions/{version}",
            "get /v1/ladder",
            "get /v1/maintenance",
            "get /v1/messages",
            "get /v1/notes",
            "get /v1/payments",
            "get /v1/payments/{id}",
            "get /v1/payments/{id}/events",
            "get /v1/payments/{id}/notes",
            "get /v1/payments/{id}/qr.svg",
            "get /v1/payments/{id}/refunds",
            "get /v1/signals",
            "post /v1/assist/cases",
            "post /v1/assist/cases/{id}/approve",
            "post /v1/assist/cases/{id}/close",
            "post /v1/assist/cases/{id}/give_back",
            "post /v1/assist/cases/{id}/note",
            "post /v1/assist/cases/{id}/offline",
            "post /v1/assist/cases/{id}/pay",
            "post /v1/assist/cases/{id}/reject",
            "post /v1/assist/cases/{id}/take",
            "post /v1/assist/payments/{id}/refund",
            "post /v1/bank/payouts/{id}/confirm",
            "post /v1/bank/payouts/{id}/failed",
            "post /v1/bank/payouts/{id}/sent",
            "post /v1/bank/transfers/{id}/approve",
            "post /v1/bank/transfers/{id}/match",
            "post /v1/bank/transfers/{id}/reject",
            "post /v1/bank/transfers/{id}/return",
            "post /v1/bank/{channel}/statements",
            "post /v1/bank/{channel}/transfers",
            "post /v1/channels/{id}/disable",
            "post /v1/channels/{id}/enable",
            "post /v1/channels/{id}/prefer",
            "post /v1/channels/{id}/release",
            "post /v1/config/apply",
            "post /v1/config/diff",
            "post /v1/config/reload",
            "post /v1/config/rollback",
            "post /v1/downtime",
            "post /v1/features/{purpose}/pause",
            "post /v1/features/{purpose}/resume",
            "post /v1/ladder/lift",
            "post /v1/ladder/move",
            "post /v1/maintenance",
            "post /v1/messages/{id}/resend",
            "post /v1/notes/{id}/resend",
            "post /v1/notifications/{channel}",
            "post /v1/payments",
            "post /v1/payments/{id}/attempts",
            "post /v1/payments/{id}/cancel",
            "post /v1/payments/{id}/extend",
            "post /v1/payments/{id}/hold",
            "post /v1/payments/{id}/notes",
            "post /v1/payments/{id}/refunds",
            "post /v1/route/decide",
            "post /v1/route/explain",
        ]
    );
    for name in ["CreatePayment", "CreateRefund", "NewAttempt", "DisableChannel", "EnableChannel"] {
        assert!(document["components"]["schemas"][name]["properties"].is_object(), "{name}");
    }
}

#[tokio::test]
async fn the_server_serves_its_documentation_from_itself() {
    let world = world().await;
    let document = world.get("", "/openapi.json").await;
    assert_eq!(document.json(), server::openapi());
    let page = world.get("", "/docs").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "loads nothing");
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    let request = world.http.get(world.url("/docs/rapidoc.js")).send().await.unwrap();
    assert_eq!(request.headers()["content-encoding"], "gzip");
    assert!(world.get("", "/docs/LICENSE.txt").await.text.contains("MIT"));
    let metrics = world.get("", "/metrics").await;
    assert!(metrics.text.contains("evergate_http_request_seconds"));
    assert!(metrics.text.contains(r#"evergate_payments{status="paid"} 0"#));
}

#[tokio::test]
async fn metrics_can_have_a_port_of_their_own() {
    let own = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let world = crate::world::world_with(|o| o.metrics_bind = Some(own)).await;
    assert_eq!(world.get("", "/metrics").await.problem(), "not-found");
    let url = format!("http://{}", world.running.metrics_addr().unwrap());
    let scraped = world.http.get(format!("{url}/metrics")).send().await.unwrap();
    let text = scraped.text().await.unwrap();
    assert!(text.contains("# HELP evergate_http_problems_total Refusals, by type"));
    assert!(text.contains("evergate_http_request_seconds_bucket{"));
    let api = world.http.get(format!("{url}/v1/payments")).send().await.unwrap();
    assert_eq!(api.status(), 404);
}
