//! Versions of the configuration.

use domain::Timestamp;

use crate::{AuditLine, NewVersion, Store, VersionState, Versions};

const AT: Timestamp = Timestamp::from_secs(1_900_000_000);

fn audit(action: &str) -> AuditLine {
    AuditLine { at: AT, by: "li".into(), action: action.into(), reason: "a new key".into() }
}

fn new(text: &str, parent: Option<u64>, state: VersionState) -> NewVersion {
    NewVersion {
        text: text.into(),
        digest: format!("digest of {text}"),
        at: AT,
        by: "li".into(),
        reason: "a new key".into(),
        parent,
        state,
    }
}

/// One is live, one may be staged, and each that was is kept.
///
/// # Panics
/// When the store does anything else.
pub async fn versions_follow_one_another<S: Store + Versions + ?Sized>(store: &S) {
    use VersionState::{Interrupted, Live, RolledBack, Staged, Superseded};
    let add = async |text: &str, parent, state| {
        store.add_version(new(text, parent, state), audit("add")).await.expect("the store answers")
    };
    assert_eq!(add("one", Some(4), Live).await, None, "there is no fourth");
    assert_eq!(add("one", None, Live).await, Some(1));
    assert_eq!(add("two", None, Staged).await, None, "the first is live");
    assert_eq!(add("two", Some(1), Staged).await, Some(2));
    assert_eq!(add("three", Some(1), Staged).await, None, "one is staged");
    assert_eq!(add("three", Some(1), Live).await, None, "one is staged");

    let settle = async |version, end| {
        let cause = Some("because".to_owned());
        store.settle_version(version, end, cause, audit("settle")).await.expect("the store answers")
    };
    assert!(!settle(1, RolledBack).await, "it is not staged");
    assert!(settle(2, RolledBack).await);
    assert!(!settle(2, Live).await, "whoever comes late does nothing");
    assert_eq!(add("three", Some(1), Staged).await, Some(3));
    assert!(settle(3, Live).await);
    assert_eq!(add("four", Some(1), Staged).await, None, "another one is live");
    assert_eq!(add("four", Some(3), Staged).await, Some(4));
    assert!(settle(4, Interrupted).await);
    assert_eq!(add("five", Some(3), Live).await, Some(5));

    let states: Vec<_> = store
        .versions(10)
        .await
        .expect("the store answers")
        .into_iter()
        .map(|v| (v.version, v.new.state))
        .collect();
    let wanted = [(5, Live), (4, Interrupted), (3, Superseded), (2, RolledBack), (1, Superseded)];
    assert_eq!(states, wanted);
    assert_eq!(store.versions(2).await.expect("the store answers").len(), 2);
    let second = store.version(2).await.expect("the store answers").expect("it is kept");
    assert_eq!(second.new, new("two", Some(1), RolledBack));
    assert_eq!(second.cause.as_deref(), Some("because"));
    assert!(!format!("{second:?}").contains("two by"), "the text is not printed");
    assert!(store.version(9).await.expect("the store answers").is_none());
    assert_eq!(
        store.audit(100).await.expect("the store answers").len(),
        8,
        "one line for each change"
    );
}
