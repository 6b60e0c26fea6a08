//! Markdown as an outline: headings, list items, and the text that belongs to each.
//!
//! Markup of words is dropped, their text never is: what a link, a table, a quote or a block of code said stands in
//! the text as it can be read without a renderer.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::{ImportError, Note};

/// A document, taken apart.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub title: Option<String>,
    pub description: Vec<String>,
    pub headings: Vec<Heading>,
    pub items: Vec<Item>,
    /// What was left out, or changed.
    pub left: Vec<Note>,
    /// What went into an item that it did not stand in: line, item, words that the id of the step completes.
    pub moved: Vec<(usize, usize, &'static str)>,
}

#[derive(Debug)]
pub(super) struct Heading {
    level: HeadingLevel,
    pub text: String,
    pub line: usize,
    /// It stands in the description.
    pub used: bool,
}

/// A list item, or a section that holds commands and no list.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// Headings above it.
    pub headings: Vec<usize>,
    /// The item that it is nested in.
    pub parent: Option<usize>,
    pub blocks: Vec<Block>,
    /// Blocks that stood in front of its list.
    pub lead: usize,
    line: usize,
}

#[derive(Debug)]
pub(super) struct Block {
    pub text: String,
    pub code: bool,
    line: usize,
}

impl Outline {
    /// # Errors
    /// There is no such section.
    pub(super) fn read(markdown: &str, section: Option<&str>) -> Result<Self, ImportError> {
        let within = match section {
            Some(wanted) => find(markdown, wanted)?,
            None => 0..markdown.len(),
        };
        let mut reader = Reader::new(markdown, section.is_some());
        let mut parser = events(markdown);
        for (event, range) in parser.by_ref() {
            if within.contains(&range.start) {
                reader.line = reader.line_of(range.start);
                reader.see_table(&event, markdown, &range);
                reader.take(event, &markdown[range]);
            }
        }
        reader.end_section();
        for (name, definition) in parser.reference_definitions().iter() {
            let dest: &str = &definition.dest;
            if within.contains(&definition.span.start) && !reader.links.iter().any(|link| link == dest) {
                let line = reader.line_of(definition.span.start);
                reader.outline.left.push(Note {
                    line,
                    message: format!("nothing uses the link [{name}]: {dest}, left out"),
                });
            }
        }
        Ok(reader.done())
    }

    /// Makes one item of the description, where there is one.
    pub(super) fn one_item(&mut self) -> Option<()> {
        let text = std::mem::take(&mut self.description).join("\n\n");
        if text.is_empty() {
            return None;
        }
        self.items.push(Item {
            blocks: vec![Block { text, code: false, line: 1 }],
            line: 1,
            ..Item::default()
        });
        Some(())
    }
}

pub(super) fn events(markdown: &str) -> pulldown_cmark::OffsetIter<'_> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    Parser::new_ext(markdown, options).into_offset_iter()
}

/// Where the section stands whose heading holds the text.
fn find(markdown: &str, wanted: &str) -> Result<Range<usize>, ImportError> {
    let mut all: Vec<(HeadingLevel, usize, String)> = Vec::new();
    let mut open = false;
    for (event, range) in events(markdown) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                all.push((level, range.start, String::new()));
                open = true;
            }
            Event::End(TagEnd::Heading(_)) => open = false,
            Event::Text(text) | Event::Code(text) if open => {
                all.iter_mut().rev().take(1).for_each(|(_, _, heading)| heading.push_str(&text));
            }
            _ => {}
        }
    }
    let folded = wanted.to_lowercase();
    let Some(at) = all.iter().position(|(_, _, text)| text.to_lowercase().contains(&folded)) else {
        let known = all.into_iter().map(|(_, _, text)| text).collect();
        return Err(ImportError::NoSection { wanted: wanted.to_owned(), known });
    };
    let (level, start, _) = all[at];
    let end =
        all[at + 1..].iter().find(|(other, _, _)| *other <= level).map_or(markdown.len(), |(_, end, _)| *end);
    Ok(start..end)
}

/// Where the reading stands.
struct Reader {
    outline: Outline,
    /// Offsets at which lines begin.
    lines: Vec<usize>,
    line: usize,
    /// Only a part of the document is read: its heading is the title.
    part: bool,
    /// Headings that are open, the outermost first.
    path: Vec<usize>,
    /// Items that are open, and how many quotes were around each.
    open: Vec<(usize, usize)>,
    quotes: usize,
    /// Blocks outside of items, for the next item of their section.
    lead: Vec<Block>,
    /// Items at which the section began.
    section: usize,
    text: String,
    /// The text is taken as it is.
    verbatim: bool,
    heading: Option<HeadingLevel>,
    /// The rows of a table, and the cells of the last of them.
    rows: Vec<String>,
    cells: Vec<String>,
    /// What stands in a row behind its last cell.
    behind: String,
    row_end: usize,
    /// What follows the text of each link that is open: they nest, as a picture in a link does.
    links_open: Vec<String>,
    /// Where links lead to.
    links: Vec<String>,
}

impl Reader {
    fn new(markdown: &str, part: bool) -> Self {
        let starts = markdown.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            outline: Outline::default(),
            lines: std::iter::once(0).chain(starts).collect(),
            line: 1,
            part,
            path: Vec::new(),
            open: Vec::new(),
            quotes: 0,
            lead: Vec::new(),
            section: 0,
            text: String::new(),
            verbatim: false,
            heading: None,
            rows: Vec::new(),
            cells: Vec::new(),
            behind: String::new(),
            row_end: 0,
            links_open: Vec::new(),
            links: Vec::new(),
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Markdown drops the cells of a row that the head of its table has no column for; here they are kept.
    fn see_table(&mut self, event: &Event<'_>, markdown: &str, range: &Range<usize>) {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                self.row_end = range.end;
                self.behind.clear();
            }
            Event::Start(Tag::TableCell) => {
                self.behind = markdown.get(range.end..self.row_end).unwrap_or_default().to_owned();
            }
            _ => {}
        }
    }

    fn take(&mut self, event: Event<'_>, source: &str) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text.push_str(&text),
            Event::Code(_) | Event::InlineMath(_) | Event::DisplayMath(_) => self.text.push_str(source),
            Event::FootnoteReference(name) => self.text.push_str(&format!("[^{name}]")),
            Event::SoftBreak => self.text.push(' '),
            Event::HardBreak => self.text.push('\n'),
            Event::Rule => self.finish(),
            Event::TaskListMarker(true) => {
                let message = "ticked in the Markdown: a run begins with everything undone".to_owned();
                self.note(message);
            }
            Event::TaskListMarker(false) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Emphasis | Tag::Strong | Tag::Superscript | Tag::Subscript => {}
            Tag::Strikethrough => self.text.push_str("~~"),
            Tag::Link { link_type, dest_url, title, .. } => self.open_link(link_type, &dest_url, &title),
            Tag::Image { dest_url, title, .. } => {
                self.open_link(LinkType::Inline, &dest_url, &title);
                self.note(format!("a picture, of which only the address is carried over: {dest_url}"));
            }
            Tag::TableHead | Tag::TableRow => self.cells.clear(),
            Tag::TableCell => self.text.clear(),
            Tag::Heading { level, .. } => {
                self.finish();
                self.heading = Some(level);
            }
            Tag::CodeBlock(kind) => {
                self.finish();
                self.verbatim = true;
                self.text = match kind {
                    CodeBlockKind::Fenced(info) => format!("{}\n", info.trim()),
                    CodeBlockKind::Indented => "\n".to_owned(),
                };
            }
            Tag::HtmlBlock | Tag::MetadataBlock(_) => {
                self.finish();
                self.verbatim = true;
            }
            Tag::FootnoteDefinition(name) => {
                self.finish();
                self.text = format!("[^{name}]: ");
            }
            Tag::Item => self.open_item(),
            Tag::BlockQuote(_) => {
                self.finish();
                self.quotes += 1;
            }
            // The text of a footnote begins before its first paragraph does.
            Tag::Paragraph if self.text.starts_with("[^") && self.text.ends_with("]: ") => {}
            _ => self.finish(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Superscript | TagEnd::Subscript => {}
            TagEnd::Strikethrough => self.text.push_str("~~"),
            TagEnd::Link | TagEnd::Image => self.close_link(),
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                self.cells.push(cell.replace('\n', " "));
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                let behind = self.behind.trim_matches(|c: char| c == '|' || c.is_whitespace());
                if !behind.is_empty() {
                    self.cells.push(behind.to_owned());
                }
                self.rows.push(format!("| {} |", self.cells.join(" | ")));
                if tag == TagEnd::TableHead {
                    self.rows.push(format!("|{}", "---|".repeat(self.cells.len())));
                }
            }
            TagEnd::Table => {
                let rows = std::mem::take(&mut self.rows);
                self.push(rows.join("\n"), false);
            }
            TagEnd::Heading(_) => self.end_heading(),
            TagEnd::CodeBlock => {
                self.verbatim = false;
                let text = std::mem::take(&mut self.text);
                let (info, code) = text.split_once('\n').unwrap_or_default();
                self.push(fenced(info, code), true);
            }
            TagEnd::HtmlBlock => {
                self.finish();
                self.verbatim = false;
            }
            TagEnd::MetadataBlock(_) => {
                self.verbatim = false;
                let text = std::mem::take(&mut self.text);
                if !text.trim().is_empty() {
                    self.note("the block at the head of the file is put into the description".to_owned());
                    self.outline.description.push(text.trim_end().to_owned());
                }
            }
            TagEnd::Item => {
                self.finish();
                self.open.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.finish();
                self.quotes = self.quotes.saturating_sub(1);
            }
            _ => self.finish(),
        }
    }

    fn open_item(&mut self) {
        self.finish();
        let parent = self.open.last().map(|(item, _)| *item);
        let blocks = if parent.is_none() { std::mem::take(&mut self.lead) } else { Vec::new() };
        let lead = blocks.len();
        self.open.push((self.outline.items.len(), self.quotes));
        let headings = self.path.clone();
        self.outline.items.push(Item { headings, parent, blocks, lead, line: self.line });
    }

    fn open_link(&mut self, kind: LinkType, dest: &CowStr<'_>, title: &CowStr<'_>) {
        self.links.push(dest.to_string());
        // What the text says already is not said again.
        let said = matches!(kind, LinkType::Autolink | LinkType::Email);
        let after = match (said, title.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!(" ({dest})"),
            (false, false) => format!(" ({dest}, {title})"),
        };
        self.links_open.push(after);
    }

    fn close_link(&mut self) {
        if let Some(after) = self.links_open.pop() {
            self.text.push_str(&after);
        }
    }

    /// The end of a heading: a new section, unless it stands inside something.
    fn end_heading(&mut self) {
        let Some(level) = self.heading.take() else { return self.finish() };
        let text = std::mem::take(&mut self.text).split_whitespace().collect::<Vec<_>>().join(" ");
        if !self.open.is_empty() || self.quotes > 0 {
            self.push(text, false);
            return;
        }
        self.end_section();
        let first = self.outline.headings.is_empty() && self.outline.items.is_empty();
        let may_be_title = first && (level == HeadingLevel::H1 || self.part);
        if self.outline.title.is_none() && may_be_title && !text.is_empty() {
            self.outline.title = Some(text);
            return;
        }
        while self.path.last().is_some_and(|at| self.outline.headings[*at].level >= level) {
            self.path.pop();
        }
        self.path.push(self.outline.headings.len());
        self.outline.headings.push(Heading { level, text, line: self.line, used: false });
    }

    /// Text of the section that no item took goes to the last one, or becomes a step or a part of the description.
    fn end_section(&mut self) {
        self.finish();
        let lead = std::mem::take(&mut self.lead);
        let began = std::mem::replace(&mut self.section, self.outline.items.len());
        let Some(line) = lead.first().map(|block| block.line) else { return };
        if self.outline.items.len() > began {
            let last = self.outline.items.len() - 1;
            self.outline.moved.push((line, last, "text behind the list stands in the message of step"));
            self.outline.items[last].blocks.extend(lead);
        } else if lead.iter().any(|block| block.code) {
            let item = self.outline.items.len();
            let lead_blocks = lead.iter().take_while(|block| block.code).count();
            self.outline.moved.push((line, item, "commands without a list item became the step"));
            let headings = self.path.clone();
            self.outline.items.push(Item { headings, blocks: lead, lead: lead_blocks, line, parent: None });
            self.section = self.outline.items.len();
        } else {
            if let Some(at) = self.path.last() {
                self.outline.headings[*at].used = true;
                let heading = self.outline.headings[*at].text.clone();
                let message = "text without a list item is put into the description".to_owned();
                self.outline.left.push(Note { line, message });
                self.outline.description.push(heading);
            }
            self.outline.description.extend(lead.into_iter().map(|block| block.text));
        }
    }

    fn finish(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = if self.verbatim { text.trim_end() } else { text.trim() };
        if !text.trim().is_empty() {
            self.push(text.to_owned(), false);
        }
    }

    /// A block of text to where it belongs.
    fn push(&mut self, text: String, code: bool) {
        let (item, around) = self.open.last().map_or((None, 0), |(item, quotes)| (Some(*item), *quotes));
        let mark = "> ".repeat(self.quotes.saturating_sub(around));
        let text = if mark.is_empty() {
            text
        } else {
            text.lines().map(|line| format!("{mark}{line}")).collect::<Vec<_>>().join("\n")
        };
        let block = Block { text, code, line: self.line };
        let Some(item) = item else { return self.lead.push(block) };
        if item + 1 < self.outline.items.len() {
            let what = "text behind the nested list stands in the message of step";
            self.outline.moved.push((self.line, item, what));
        }
        self.outline.items[item].blocks.push(block);
    }

    fn note(&mut self, message: String) {
        self.outline.left.push(Note { line: self.line, message });
    }

    /// The outline without items that say nothing.
    fn done(mut self) -> Outline {
        let kept: Vec<bool> = self.outline.items.iter().map(|item| !item.blocks.is_empty()).collect();
        let place: Vec<usize> = kept
            .iter()
            .scan(0, |next, kept| {
                let at = *next;
                *next += usize::from(*kept);
                Some(at)
            })
            .collect();
        let items = std::mem::take(&mut self.outline.items);
        for (at, mut item) in items.into_iter().enumerate() {
            if kept[at] {
                item.parent = item.parent.filter(|parent| kept[*parent]).map(|parent| place[parent]);
                self.outline.items.push(item);
            } else {
                let message = "a list item without text is left out".to_owned();
                self.outline.left.push(Note { line: item.line, message });
            }
        }
        for (_, item, _) in &mut self.outline.moved {
            *item = place[*item];
        }
        self.outline
    }
}

/// Code between fences that nothing in it can close.
fn fenced(info: &str, code: &str) -> String {
    let mark = if info.contains('`') { '~' } else { '`' };
    let longest = code.split(|c| c != mark).map(str::len).max().unwrap_or(0);
    let fence = mark.to_string().repeat(longest.max(2) + 1);
    let end = if code.is_empty() || code.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{info}\n{code}{end}{fence}")
}
