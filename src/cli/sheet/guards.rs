//! What has to hold while anything is changed.

use super::{Sheet, duration, plain};
use crate::plan::preview::Preview;

impl Sheet {
    pub(super) fn guards(&mut self, preview: &Preview) {
        if preview.guards.is_empty() {
            return;
        }
        self.out.push(String::new());
        let line = self.pick(
            "── garde-fous : demandés régulièrement, et avant chaque écriture ──",
            "── guards: asked at intervals, and before each write ──",
        );
        self.out.push(line.to_owned());
        for guard in &preview.guards {
            let node = &guard.node;
            let every = self.pick("toutes les", "every");
            let every = node.every_ms.map(|every_ms| format!(", {every} {}", duration(every_ms)));
            let head = format!("{} [{}{}]", node.id, node.kind.name(), every.unwrap_or_default());
            self.wrapped(&head, "    ·  ", super::INDENT);
            if let Some(message) = self.of(&guard.message) {
                let text = plain(message);
                self.note(&text);
            }
            self.act(guard);
            let text = self.pick(
                "sinon, ou sans réponse : rien ne démarre, et quelqu'un décide",
                "if not, or without an answer: nothing starts, and somebody decides",
            );
            self.note(text);
        }
    }
}
