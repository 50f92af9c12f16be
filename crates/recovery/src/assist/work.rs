//! One change of a case: read, decide, commit, and decide again when somebody was faster.

use domain::{Currency, Timestamp};
use store::{AssistChange, AssistLine, AssistTally, Case, CaseState, Commit, Conflict, KeptCase};

use super::limits::tally_id;
use super::{AssistError, Desk, Word};

/// How often a change is decided again before it counts as busy.
const TRIES: usize = 16;
/// How often an unknown commit is read back.
const READ_BACKS: usize = 3;
/// The name that the books give to what happens by itself.
pub(super) const OURSELVES: &str = "evergate";

/// Whose tally a change counts in.
pub(super) struct Counts<'a> {
    pub(super) by: &'a str,
    pub(super) currency: Currency,
}

/// What is to become of a case.
pub(super) struct Step {
    pub(super) state: CaseState,
    /// The tally as it becomes, where the change has one.
    pub(super) tally: Option<AssistTally>,
    pub(super) line: Option<AssistLine>,
}

impl Step {
    /// A change with a line of the history.
    pub(super) fn to(state: CaseState, action: &str, word: &Word, now: Timestamp) -> Step {
        Step { state, tally: None, line: Some(line(action, word, now)) }
    }
}

pub(super) fn line(action: &str, word: &Word, at: Timestamp) -> AssistLine {
    let Word { by, reason } = word.clone();
    AssistLine { at, by, action: action.to_owned(), reason }
}

/// What happens by itself.
pub(super) fn ourselves(reason: &str) -> Word {
    Word { by: OURSELVES.to_owned(), reason: reason.to_owned() }
}

/// The case as it counts now: one whose taker let the time pass is in the queue again.
pub(super) fn counting(case: Case, now: Timestamp) -> Case {
    match case.state {
        CaseState::Taken { until, .. } if until <= now => Case { state: CaseState::Open, ..case },
        _ => case,
    }
}

impl Desk {
    /// Changes a case. `decide` gets the case as it counts now and the tally that was asked
    /// for; `None` changes nothing.
    pub(super) async fn change(
        &self,
        id: &str,
        counts: Option<Counts<'_>>,
        mut decide: impl FnMut(&Case, AssistTally, Timestamp) -> Result<Option<Step>, AssistError>
        + Send,
    ) -> Result<Case, AssistError> {
        let tally_id = counts.map(|counts| tally_id(counts.by, counts.currency));
        for _ in 0..TRIES {
            let kept = self.books.assist_case(id).await?.ok_or(AssistError::NotFound)?;
            let (tally_version, tally) = match &tally_id {
                Some(id) => self.books.assist_tally(id).await?.unwrap_or_default(),
                None => Default::default(),
            };
            let now = self.engine.now();
            let case = counting(kept.case, now);
            let Some(step) = decide(&case, tally, now)? else { return Ok(case) };
            let case = Case { state: step.state, ..case };
            let change = AssistChange {
                id: self.entropy.uuid(now),
                expected_version: kept.version,
                case: case.clone(),
                tally: tally_id.clone().zip(step.tally).map(|(id, t)| (id, tally_version, t)),
                lines: step.line.into_iter().collect(),
                at: now,
            };
            match self.commit(change).await? {
                Ok(()) => return Ok(case),
                Err(Conflict::KeyTaken) => return Err(self.reference_taken(&case).await?),
                Err(_) => {}
            }
        }
        Err(AssistError::Busy)
    }

    /// Commits a change. An unknown commit is read back by its id (rule 16).
    pub(super) async fn commit(
        &self,
        change: AssistChange,
    ) -> Result<Result<(), Conflict>, AssistError> {
        let id = change.id;
        match self.books.assist_commit(change).await {
            Commit::Done => Ok(Ok(())),
            Commit::Refused(conflict) => Ok(Err(conflict)),
            Commit::Failed(error) => Err(error.into()),
            Commit::Unknown(error) => {
                for _ in 0..READ_BACKS {
                    match self.books.assist_was_committed(id).await {
                        Ok(true) => return Ok(Ok(())),
                        Ok(false) => return Err(error.into()),
                        Err(_) => {}
                    }
                }
                tracing::error!(change = %id, %error, "a commit's effect is not known");
                Err(AssistError::CommitUnknown)
            }
        }
    }

    /// Which payment has the reference that this case was to get.
    async fn reference_taken(&self, case: &Case) -> Result<AssistError, AssistError> {
        let Some(taken) = case.state.taking() else { return Ok(AssistError::Busy) };
        let key = Case::reference_key(&case.merchant, taken.kind, &taken.reference);
        let holder: Option<KeptCase> = self.books.assist_by_reference(&key).await?;
        Ok(holder.map_or(AssistError::Busy, |kept| AssistError::ReferenceTaken(kept.case.payment)))
    }
}
