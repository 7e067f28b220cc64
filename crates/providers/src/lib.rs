//! bascule-providers
