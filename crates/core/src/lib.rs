//! bascule-core
