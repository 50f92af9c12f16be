//! Channels that operators put first, until a time or until they are released.

use std::sync::Arc;

use domain::{ChannelId, Controls, Method, Override};
use store::AuditLine;

use crate::{Engine, EngineError};

impl Engine {
    /// Puts a channel, or one method of it, before all others: rules and the merchant's order
    /// come after it. Its health still counts, and a disabled channel stays disabled.
    ///
    /// # Errors
    /// When there is no such channel or the store does not keep the change.
    pub async fn prefer(&self, new: Override) -> Result<Arc<Controls>, EngineError> {
        self.known(&new.channel)?;
        let until = new.until.map_or(String::new(), |u| format!(" until {}", u.as_secs()));
        let line = AuditLine {
            at: self.now(),
            by: new.by.clone(),
            action: format!("prefer {}{}{until}", new.channel, scope(new.method)),
            reason: new.reason.clone(),
        };
        self.change_controls(line, |controls, now| controls.prefer(new.clone(), now)).await
    }

    /// Ends the preference for a channel, or for one method of it.
    ///
    /// # Errors
    /// When there is no such channel or the store does not keep the change.
    pub async fn release(
        &self,
        channel: &ChannelId,
        method: Option<Method>,
        by: &str,
        reason: &str,
    ) -> Result<Arc<Controls>, EngineError> {
        self.known(channel)?;
        let line = AuditLine {
            at: self.now(),
            by: by.to_owned(),
            action: format!("release {channel}{}", scope(method)),
            reason: reason.to_owned(),
        };
        self.change_controls(line, |controls, now| controls.release(channel, method, now)).await
    }
}

/// Of a channel, the method that a line of the audit log is about; nothing when it is all.
pub(crate) fn scope(method: Option<Method>) -> String {
    method.map(|method| format!(" {method}")).unwrap_or_default()
}
