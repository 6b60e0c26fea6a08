//! `consigne report`
