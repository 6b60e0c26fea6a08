//! The names in a used runbook that are no expressions: ids of steps, credentials, letters, items of lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::runbook::decode::Spanned;
use crate::runbook::letters::{Letter, Letters, Page};
use crate::runbook::lists;
use crate::runbook::schema::{Http, Runbook, SecretDecl, Step};
use crate::runbook::template::Renaming;

/// Names of items in a used runbook that would hide those around it, and what they are called instead.
pub(super) fn clashes(runbook: &Runbook, parent: &str, around: &[String]) -> BTreeMap<String, String> {
    let own = lists::steps(runbook).filter_map(|step| Some(&step.for_each.as_ref()?.r#as.value));
    let clashing = own.filter(|name| around.contains(name));
    clashing.map(|name| (name.clone(), format!("{name}_in_{}", parent.replace('/', "_in_")))).collect()
}

/// Everything that is named in a used runbook.
pub(super) fn runbook(runbook: &mut Runbook, names: &Renaming, letters: &Letters) {
    if let Some(http) = runbook.defaults.as_mut().and_then(|defaults| defaults.http.as_mut()) {
        credential(http.bearer.as_mut(), names);
    }
    list(&mut runbook.steps, names, letters);
    list(runbook.finally.iter_mut().flatten(), names, letters);
}

/// As deep as groups may be nested in a file.
fn list<'s>(steps: impl IntoIterator<Item = &'s mut Step>, names: &Renaming, letters: &Letters) {
    for step in steps {
        self::step(step, names, letters);
        if let Some(group) = &mut step.group {
            list(&mut group.steps, names, letters);
            list(group.on_failure.iter_mut().flatten(), names, letters);
        }
    }
}

fn step(step: &mut Step, names: &Renaming, letters: &Letters) {
    let id = |id: &mut Spanned<String>| id.value = names.id(&id.value);
    step.id.iter_mut().for_each(id);
    step.needs.iter_mut().flatten().for_each(id);
    step.past.iter_mut().flatten().for_each(id);
    step.revert.iter_mut().flat_map(|named| &mut named.value).for_each(id);
    if let Some(approve) = &mut step.approve {
        approve.covers.iter_mut().flatten().for_each(id);
        approve.exclude.iter_mut().flatten().for_each(|name| name.value = names.name(&name.value));
    }
    step.by
        .iter_mut()
        .flat_map(|by| &mut by.exclude)
        .flatten()
        .for_each(|name| name.value = names.name(&name.value));
    if let Some(each) = &mut step.for_each
        && let Some(name) = names.items.get(&each.r#as.value)
    {
        each.r#as.value.clone_from(name);
    }
    if let Some(template) = step.notify.as_mut().and_then(|notify| notify.template.as_mut())
        && letters.contains_key(&template.value)
    {
        template.value = names.id(&template.value);
    }
    for item in step.checklist.iter_mut().flat_map(|list| &mut list.items.value) {
        if let Some(probe) = &mut item.probe {
            probe.step.iter_mut().for_each(id);
            http(probe.http.as_deref_mut(), names);
        }
    }
    http(step.http.as_deref_mut(), names);
    http(step.verify.as_mut().and_then(|verify| verify.http.as_deref_mut()), names);
    http(step.undo.as_mut().and_then(|undo| undo.http.as_deref_mut()), names);
    if let Some(back) = &mut step.put_back {
        http(back.http.as_deref_mut(), names);
        http(back.only_if.as_mut().and_then(|probe| probe.http.as_deref_mut()), names);
    }
}

fn http(http: Option<&mut Http>, names: &Renaming) {
    let Some(http) = http else { return };
    credential(http.bearer.as_mut(), names);
    credential(http.basic.as_mut().map(|basic| &mut basic.secret), names);
    credential(http.header.as_mut().map(|header| &mut header.secret), names);
}

fn credential(name: Option<&mut Spanned<String>>, names: &Renaming) {
    if let Some(name) = name {
        name.value = names.name(&name.value);
    }
}

/// The ids of all steps, those in groups included.
pub(super) fn ids(steps: &[Step], out: &mut BTreeSet<String>) {
    for step in steps {
        out.extend(step.id.as_ref().map(|id| id.value.clone()));
        if let Some(group) = &step.group {
            ids(&group.steps, out);
            ids(group.on_failure.as_deref().unwrap_or_default(), out);
        }
    }
}

/// Whether two secrets come from the same place.
pub(super) fn same_source(one: &SecretDecl, other: &SecretDecl) -> bool {
    let of = |decl: &SecretDecl| {
        (
            decl.env.as_ref().map(|env| env.value.clone()),
            decl.file.as_ref().map(|file| file.value.source().to_owned()),
            decl.command
                .as_ref()
                .map(|argv| argv.value.iter().map(|arg| arg.value.source().to_owned()).collect::<Vec<_>>()),
            decl.prompt,
            decl.refresh.as_ref().map(|refresh| refresh.value),
        )
    };
    of(one) == of(other)
}

/// The letters of a used runbook, under names of their own; those about questions, where there are none yet.
pub(super) fn letters(all: &mut Letters, own: &Letters, runbook: &Runbook, names: &Renaming) {
    let sent: BTreeSet<&str> = lists::steps(runbook)
        .filter_map(|step| Some(step.notify.as_ref()?.template.as_ref()?.value.as_str()))
        .collect();
    for (name, letter) in own {
        if sent.contains(name.as_str()) {
            let page = |page: &Option<Page>| page.as_ref().and_then(|page| renamed(page, names));
            all.insert(names.id(name), Letter { fr: page(&letter.fr), en: page(&letter.en) });
        } else {
            all.entry(name.clone()).or_insert_with(|| letter.clone());
        }
    }
}

fn renamed(page: &Page, names: &Renaming) -> Option<Page> {
    let text = |text: &Spanned<crate::runbook::template::Template>| {
        Some(Spanned { value: text.value.renamed(names, false).ok()?, span: text.span })
    };
    Some(Page { source: page.source.clone(), subject: text(&page.subject)?, text: text(&page.text)? })
}
