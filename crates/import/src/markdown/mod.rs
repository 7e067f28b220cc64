//! A disaster-recovery document in Markdown.
