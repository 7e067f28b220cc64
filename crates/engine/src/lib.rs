//! bascule-engine
