//! Whether something would be allowed, as it was really tried, in a way that changes nothing.

/// What came of trying. A trial that did not come to an answer is none: it is an error that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// It is allowed.
    Granted,
    /// It is not.
    Refused {
        /// In the words of whoever refused.
        why: String,
    },
}
