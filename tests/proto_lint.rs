//! The static API keeps to the standard rules of buf.

mod support;

use support::buf;

#[tokio::test]
async fn the_static_api_is_lint_clean() {
    buf(&["lint"]).await.success();
}

#[tokio::test]
async fn the_static_api_builds() {
    buf(&["build", "--output", "/dev/null"]).await.success();
}
