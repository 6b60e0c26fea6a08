//! The runbooks that are run: generated, the same bytes for the same arguments.

use std::fmt::Write as _;

/// Who waits for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each step needs the one before.
    Chain,
    /// No step needs another.
    Fan,
    /// Layers of about the square root of all, each step with up to three needs in the layer before.
    Layers,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// An assertion that holds: no process, so the engine and the journal alone.
    Assert,
    /// The smallest program there is.
    True,
    /// A shell with builtins only.
    Shell,
}

impl Shape {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Fan => "fan",
            Self::Layers => "layers",
        }
    }

    fn needs(self, at: usize, steps: usize) -> Vec<usize> {
        match self {
            Self::Chain => at.checked_sub(1).into_iter().collect(),
            Self::Fan => Vec::new(),
            Self::Layers => {
                let width = steps.isqrt().max(2);
                let Some(above) = (at / width).checked_sub(1) else { return Vec::new() };
                let mut needs: Vec<usize> =
                    [1, 7, 13].iter().map(|stride| above * width + at * stride % width).collect();
                needs.sort_unstable();
                needs.dedup();
                needs
            }
        }
    }
}

impl Work {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assert => "assert",
            Self::True => "true",
            Self::Shell => "sh",
        }
    }
}

/// What the shell of step `at` is told; the floor says the same.
pub fn script(at: usize) -> String {
    format!("test -n s{at:06} && true")
}

/// A runbook of so many steps.
pub fn text(shape: Shape, work: Work, steps: usize) -> String {
    let mut text = String::from("consigne: v1\nid: bench\nsteps:\n");
    for at in 0..steps {
        let _ = writeln!(text, "  - id: s{at:06}");
        let needs: Vec<String> =
            shape.needs(at, steps).into_iter().map(|need| format!("s{need:06}")).collect();
        // Left out, it would mean everything above.
        let _ = writeln!(text, "    needs: [{}]", needs.join(", "));
        let _ = match work {
            Work::Assert => {
                writeln!(text, "    assert: {{that: [{{expr: \"1 == 1\", message: \"arithmetic broke\"}}]}}")
            }
            Work::True => writeln!(text, "    argv: [\"true\"]\n    effect: read"),
            Work::Shell => writeln!(text, "    argv: [sh, -c, \"{}\"]\n    effect: read", script(at)),
        };
    }
    text
}
