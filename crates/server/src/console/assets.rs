//! Style sheets and scripts. Their addresses carry a mark of their content, so browsers keep
//! them; they need no session.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use pages::console;

use crate::params::NameInPath;

const KEPT: &str = "public, max-age=31536000, immutable";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

pub(super) async fn asset(NameInPath(name): NameInPath) -> Response {
    let (kind, body): (&str, &'static [u8]) = match name.as_str() {
        "console.css" => (CSS, console::CSS.as_bytes()),
        "console.js" => (JS, console::JS.as_bytes()),
        "uplot.css" => (CSS, console::UPLOT_CSS.as_bytes()),
        "uplot.js" => {
            let gzip = (header::CONTENT_ENCODING, "gzip");
            let kept = [(header::CONTENT_TYPE, JS), gzip, (header::CACHE_CONTROL, KEPT)];
            return (kept, console::UPLOT_JS_GZ).into_response();
        }
        "uplot-LICENSE.txt" => (TEXT, console::UPLOT_LICENSE.as_bytes()),
        _ => return (StatusCode::NOT_FOUND, "no such asset").into_response(),
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)], body).into_response()
}
