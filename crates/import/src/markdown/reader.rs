//! Blocks as a document: which section each stands in, and what that makes of it.
//!
//! Zones are read first, wherever they stand, because rows and steps refer to them.

use bascule_core::document::{Document, Intent, Prose, WrittenPlan, WrittenStep};

use super::block::{Block, RawRow, RowMark, item};
use super::columns;
use super::heading::{Announced, Section, announced, numbered};
use super::intent::MAX_INTENTS;
use super::region::place;
use super::source::shortened;
use super::steps;
use super::table::{Columns, Table, lists_places};
use super::template;
use super::text::{MAX_PIECE, pieces, sentences};
use super::words::words;
use super::zones::Zones;
use crate::finding::{Code, Finding};

/// The document that the blocks are, and what was found on the way.
pub(super) fn read(blocks: Vec<Block>) -> (Document, Vec<Finding>) {
    let mut reader = Reader::default();
    for pass in [Pass::Zones, Pass::Rest] {
        reader.begin(pass);
        blocks.iter().for_each(|block| reader.block(block));
        if pass == Pass::Zones {
            reader.document.zones = reader.zones.finish();
        }
    }
    reader.end()
}

/// What is read of the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pass {
    /// Only the places.
    #[default]
    Zones,
    /// Everything else.
    Rest,
}

#[derive(Default)]
struct Reader {
    pass: Pass,
    document: Document,
    findings: Vec<Finding>,
    zones: Zones,
    section: Option<Section>,
    /// The level of the heading that began the section.
    level: usize,
    /// What every step of the section asks for.
    under: Option<Intent>,
    /// Who does the steps of the section, and the level of the heading under which that stands.
    owner: Option<String>,
    owner_level: usize,
    /// Whether the section was begun by the document's title: whatever is below has a heading of its own.
    titled: bool,
    headings: usize,
    /// The columns of the last table of assets in this section.
    columns: Option<Columns>,
    tables: usize,
    plan: Option<Plan>,
}

fn names_place(text: &str) -> bool {
    words(text).iter().any(|word| place(&word.text).is_some())
}

/// The lines of code as commands: a line that ends in a backslash goes on in the next. Comments ask for nothing.
fn commands(lines: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (line, text) in lines.iter().filter(|(_, text)| !text.starts_with('#')) {
        let (text, next) = text.strip_suffix('\\').map_or((text.as_str(), false), |text| (text, true));
        match commands.last_mut() {
            Some((_, command)) if goes_on && command.len() < MAX_PIECE => {
                command.push(' ');
                command.push_str(text.trim());
            }
            _ => commands.push((*line, text.trim().to_owned())),
        }
        goes_on = next;
    }
    commands
}

/// A plan that is being read.
struct Plan {
    written: WrittenPlan,
    /// Whether a heading of its own began it.
    named: bool,
    /// What stands under its heading before any list of steps: steps only if there are no others.
    loose: Vec<WrittenStep>,
}

impl Reader {
    fn begin(&mut self, pass: Pass) {
        self.pass = pass;
        (self.section, self.level, self.under, self.owner, self.columns, self.plan) =
            (None, 0, None, None, None, None);
        (self.owner_level, self.titled, self.headings) = (0, false, 0);
    }

    fn say(&mut self, code: Code, line: usize, message: impl Into<String>, remedy: &str) {
        self.findings.push(Finding::new(code, line, message, remedy));
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading { line, level, text, row } => {
                if *row && self.pass == Pass::Rest {
                    let message = format!("a heading in a row of a table: {}", shortened(text));
                    self.say(Code::HeadingInTable, *line, message, "take it out of the table");
                }
                self.heading(*line, *level, text);
            }
            Block::Table(rows) => self.table(rows),
            Block::Html { line, text } => {
                // The lines that only open or close the table hold nothing.
                let cell =
                    ["<td", "<th>", "<th "].iter().any(|cell| text.to_ascii_lowercase().contains(cell));
                if cell && self.pass == Pass::Rest {
                    let message = format!("a table in HTML is not read: {}", shortened(text));
                    self.say(Code::RowUnread, *line, message, "write the table in Markdown");
                }
            }
            Block::Code { line, lines } => self.code(*line, lines),
            Block::Item { line, text, done } => self.item(*line, text, *done),
            // Places stand a line each, in lower case.
            Block::Text(lines) if self.section == Some(Section::Zones) => {
                lines.iter().for_each(|(line, text)| self.prose(*line, text));
            }
            Block::Text(lines) => {
                for (line, text) in pieces(lines) {
                    self.prose(line, &text);
                }
            }
        }
    }

    fn heading(&mut self, line: usize, level: usize, text: &str) {
        self.headings += 1;
        let in_plan = matches!(self.section, Some(Section::Plan | Section::PreSteps | Section::Steps));
        if in_plan && let Some((is_step, rest)) = numbered(text) {
            let phase = announced(rest).filter(|_| !is_step);
            return match phase {
                Some(announced) => self.enter(line, level, text, announced),
                None if rest.is_empty() => {}
                None => self.step(line, rest, None),
            };
        }
        let found = announced(text);
        let of_places = found.is_none_or(|found| found.section == Section::Zones);
        if self.section == Some(Section::Zones) && of_places && (level > self.level || names_place(text)) {
            return self.place(line, text);
        }
        match found {
            Some(announced) if self.admits(level, announced) => {
                self.enter(line, level, text, announced);
                if announced.section == Section::Zones && names_place(text) {
                    self.place(line, text);
                }
            }
            Some(_) => {}
            None if self.section.is_some() && level <= self.level => {
                (self.section, self.level, self.columns) = (None, level, None);
            }
            None => {}
        }
    }

    /// A heading among the places is one of them, or says what those below it are.
    fn place(&mut self, line: usize, text: &str) {
        if self.pass == Pass::Zones {
            self.zones.heading(line, text);
        }
    }

    /// Whether a heading begins another section, or is only a part of this one: "Servers" below "Steps".
    fn admits(&self, level: usize, new: Announced) -> bool {
        let Some(section) = self.section.filter(|_| level > self.level) else { return true };
        if self.titled && new.sure {
            return true;
        }
        match (section, new.section) {
            (Section::PreSteps | Section::Steps, Section::PreSteps | Section::Steps) => new.sure,
            (Section::PreSteps | Section::Steps, Section::Plan) => new.sure,
            (Section::PreSteps | Section::Steps, Section::Zones | Section::Table | Section::Descriptions) => {
                false
            }
            (Section::Descriptions | Section::Zones, Section::Table) => new.sure,
            (Section::Descriptions, Section::Zones) => false,
            (Section::Zones | Section::Table | Section::Descriptions | Section::Plan, _) => true,
        }
    }

    fn enter(&mut self, line: usize, level: usize, text: &str, new: Announced) {
        (self.section, self.level, self.under) = (Some(new.section), level, new.intent);
        self.columns = None;
        if level <= self.owner_level || self.owner_level == 0 {
            (self.owner, self.owner_level) = (None, 0);
        }
        self.titled = level == 1 && self.headings == 1;
        let title = text.trim_end_matches(':').trim();
        match new.section {
            Section::Plan => self.begin_plan(line, title, true),
            Section::PreSteps | Section::Steps => {
                let goes_on = self.plan.as_ref().is_some_and(|plan| {
                    let begun = !plan.written.steps.is_empty() || !plan.loose.is_empty();
                    plan.named || !begun || new.intent.is_some()
                });
                if !goes_on {
                    self.begin_plan(line, title, false);
                }
            }
            Section::Zones | Section::Table | Section::Descriptions => {}
        }
    }

    fn begin_plan(&mut self, line: usize, title: &str, named: bool) {
        self.end_plan();
        let written = WrittenPlan { title: title.to_owned(), line, pre_steps: Vec::new(), steps: Vec::new() };
        self.plan = Some(Plan { written, named, loose: Vec::new() });
    }

    fn end_plan(&mut self) {
        let Some(mut plan) = self.plan.take() else { return };
        if plan.written.steps.is_empty() {
            // Under a heading of its own a plan's lines are its steps, if they ask for anything.
            let (steps, rest): (Vec<_>, Vec<_>) =
                plan.loose.into_iter().partition(|step| !step.intents.is_empty());
            plan.written.steps = steps;
            plan.loose = rest;
        }
        for loose in plan.loose {
            let message = format!("not read as a step: {}", shortened(&loose.text));
            self.say(Code::NotRead, loose.line, message, "move it below the heading Steps if it is one");
        }
        if !(plan.written.steps.is_empty() && plan.written.pre_steps.is_empty()) {
            self.document.plans.push(plan.written);
        }
    }

    fn item(&mut self, line: usize, text: &str, done: Option<bool>) {
        match (self.section, self.pass) {
            (Some(Section::Zones), Pass::Zones) => self.zones.line(line, text, true),
            (_, Pass::Zones) | (Some(Section::Zones), Pass::Rest) => {}
            (Some(Section::Descriptions), Pass::Rest) => self.describe(line, text),
            (Some(Section::Plan | Section::PreSteps | Section::Steps), Pass::Rest) => {
                if !self.takes_owner(text) && !text.trim().is_empty() {
                    self.step(line, text, done);
                }
            }
            (Some(Section::Table) | None, Pass::Rest) => self.unread(line, text),
        }
    }

    fn prose(&mut self, line: usize, text: &str) {
        match (self.section, self.pass) {
            (Some(Section::Zones), Pass::Zones) => return self.zones.line(line, text, false),
            (_, Pass::Zones) | (Some(Section::Zones), Pass::Rest) => return,
            (_, Pass::Rest) => {}
        }
        let all = sentences(text);
        let (template, own): (Vec<&str>, Vec<&str>) =
            all.into_iter().partition(|sentence| template::is_instruction(&words(sentence)));
        if !template.is_empty() {
            self.say(Code::TemplateText, line, "the template's own instruction", "delete it");
        }
        if own.is_empty() {
            return;
        }
        match self.section {
            Some(Section::Descriptions) => self.describe(line, &own.join(" ")),
            Some(Section::Plan | Section::PreSteps | Section::Steps) => {
                for sentence in own {
                    if sentence.ends_with(':') {
                        let message =
                            format!("taken for an introduction, not for a step: {}", shortened(sentence));
                        self.say(Code::NotRead, line, message, "write it as a step if it asks for something");
                    } else if !self.takes_owner(sentence) {
                        self.step(line, sentence, None);
                    }
                }
            }
            Some(Section::Table | Section::Zones) | None => self.unread(line, &own.join(" ")),
        }
    }

    fn describe(&mut self, line: usize, text: &str) {
        self.document.descriptions.push(Prose { text: text.to_owned(), line });
    }

    fn unread(&mut self, line: usize, text: &str) {
        let message = format!("not read, because no heading above says what it is: {}", shortened(text));
        self.say(
            Code::NotRead,
            line,
            message,
            "move it below Descriptions, Pre-Steps or Steps, if it matters",
        );
    }

    fn takes_owner(&mut self, text: &str) -> bool {
        let owner = steps::only_owner(text);
        let taken = owner.is_some();
        if taken {
            (self.owner, self.owner_level) = (owner, self.level);
        }
        taken
    }

    fn step(&mut self, line: usize, text: &str, done: Option<bool>) {
        let step = steps::step(line, text, done, &self.document.zones, self.under);
        self.keep_steps(vec![step]);
    }

    fn keep_steps(&mut self, steps: Vec<WrittenStep>) {
        if self.pass == Pass::Zones {
            return;
        }
        for mut step in steps {
            if step.owner.is_none() {
                step.owner.clone_from(&self.owner);
            }
            let clear = !step.intents.is_empty();
            let line = step.line;
            let text = shortened(&step.text);
            let Some(plan) = self.plan.as_mut() else {
                self.unread(line, &text);
                continue;
            };
            match self.section {
                Some(Section::PreSteps) => plan.written.pre_steps.push(step),
                Some(Section::Steps) => plan.written.steps.push(step),
                Some(Section::Plan | Section::Zones | Section::Table | Section::Descriptions) | None => {
                    plan.loose.push(step);
                    continue;
                }
            }
            if !clear {
                let remedy = "begin it with what is to be done: point, promote, stop, verify …";
                self.say(
                    Code::StepUnclear,
                    line,
                    format!("what this asks for can't be told: {text}"),
                    remedy,
                );
            }
        }
    }

    /// A code fence. Commands under a step say what it does, and are read for what they ask; nothing else of code is read.
    fn code(&mut self, opening: usize, lines: &[(usize, String)]) {
        if self.pass == Pass::Zones {
            return;
        }
        let mut taken = false;
        if matches!(self.section, Some(Section::PreSteps | Section::Steps | Section::Plan)) {
            let said = lines.iter().filter(|(_, text)| !text.is_empty());
            let list = said.clone().next().is_some() && said.clone().all(|(_, text)| item(text).is_some());
            if list {
                // No code at all: the steps as they were written elsewhere.
                for (line, text) in said {
                    let (done, text) = item(text).unwrap_or((None, text));
                    self.item(*line, text, done);
                }
                return;
            }
            for (line, command) in commands(lines) {
                taken |= self.command(line, &command);
            }
        }
        if !taken {
            let number = lines.len();
            let message =
                format!("a code fence of {number} line{} is not read", if number == 1 { "" } else { "s" });
            self.say(Code::NotRead, opening, message, "say in words what the code does");
        }
        for (line, text) in lines.iter().filter(|(_, text)| text.starts_with('|')) {
            let message = format!("a row in a code fence is not read: {}", shortened(text));
            self.say(Code::NotRead, *line, message, "take it out of the fence if it is an asset");
        }
    }

    /// A command below a step; whether it asks for anything.
    fn command(&mut self, line: usize, command: &str) -> bool {
        let read = steps::step(line, command, None, &self.document.zones, None);
        if read.intents.is_empty() {
            return false;
        }
        let plan = self.plan.as_mut().map(|plan| match self.section {
            Some(Section::PreSteps) => &mut plan.written.pre_steps,
            Some(Section::Steps) => &mut plan.written.steps,
            Some(Section::Plan | Section::Zones | Section::Table | Section::Descriptions) | None => {
                &mut plan.loose
            }
        });
        let Some(step) = plan.and_then(|steps| steps.last_mut()) else {
            self.keep_steps(vec![read]);
            return true;
        };
        if step.intents.is_empty()
            && self.findings.last().is_some_and(|f| f.code == Code::StepUnclear && f.line == step.line)
        {
            self.findings.pop();
        }
        for intent in read.intents {
            if step.intents.len() < MAX_INTENTS && !step.intents.contains(&intent) {
                step.intents.push(intent);
            }
        }
        for zone in read.zones {
            if step.zones.len() < steps::MAX_PLACES && !step.zones.contains(&zone) {
                step.zones.push(zone);
            }
        }
        true
    }

    fn table(&mut self, rows: &[RawRow]) {
        let header = rows.iter().find(|row| row.mark == RowMark::Cells);
        let in_steps = matches!(self.section, Some(Section::PreSteps | Section::Steps | Section::Plan));
        // "Component" and "Failover" head a table of steps as well.
        let assets = header.is_some_and(|row| match in_steps {
            true => columns::is_counted(&row.cells),
            false => columns::is_assets(&row.cells),
        });
        let under = self.under;
        match (self.section, self.pass) {
            (Some(Section::Zones), Pass::Zones) if !assets => self.zones.table(rows),
            (_, Pass::Zones) => {
                for row in rows.iter().filter(|row| lists_places(&row.cells)) {
                    self.zones.line(row.line, &row.cells.join(", "), true);
                }
            }
            (Some(Section::Zones), Pass::Rest) if !assets => {}
            (Some(Section::PreSteps | Section::Steps | Section::Plan), Pass::Rest) if !assets => {
                let (steps, rest) = steps::from_table(rows, &self.document.zones, under);
                self.keep_steps(steps);
                for (line, what) in rest {
                    self.say(Code::EmptyRow, line, what, "delete it");
                }
            }
            (Some(Section::Descriptions), Pass::Rest) if !assets => self.described(rows),
            (None, Pass::Rest) if !assets && self.columns.is_none() => {
                for row in rows.iter().filter(|row| row.mark != RowMark::Delimiter) {
                    let message =
                        format!("a row of a table that is not known: {}", shortened(&row.cells.join(" | ")));
                    let remedy =
                        "give the table the columns Asset, Purpose, Size, Qty, DR, if it lists assets";
                    self.say(Code::RowUnread, row.line, message, remedy);
                }
            }
            (_, Pass::Rest) => {
                let (table, columns) = Table::read(rows, &self.document.zones, self.columns.as_ref());
                let (assets, findings) = (table.rows, table.findings);
                self.document.assets.extend(assets);
                self.findings.extend(findings);
                self.columns = Some(columns);
                self.tables += 1;
            }
        }
    }

    /// A table of descriptions: each row a paragraph.
    fn described(&mut self, rows: &[RawRow]) {
        let delimited = rows.get(1).is_some_and(|row| row.mark == RowMark::Delimiter);
        for (at, row) in rows.iter().enumerate() {
            let text: Vec<&str> =
                row.cells.iter().map(String::as_str).filter(|cell| !cell.is_empty()).collect();
            let header = at == 0 && delimited;
            if row.mark == RowMark::Delimiter || header {
                continue;
            }
            if text.is_empty() {
                self.say(Code::EmptyRow, row.line, "a row that holds nothing", "delete it");
            } else {
                self.describe(row.line, &text.join(": "));
            }
        }
    }

    fn end(mut self) -> (Document, Vec<Finding>) {
        self.end_plan();
        let missing = [
            (self.document.zones.is_empty(), "no zones are listed", "list the regions below a heading Zones"),
            (
                self.tables == 0,
                "no table of assets was found",
                "list the assets: Asset, Purpose, Size, Qty, DR",
            ),
            (
                self.document.plans.iter().all(|plan| plan.steps.is_empty()),
                "no plan has steps",
                "write what is to be done when the region is lost, below a heading Steps",
            ),
        ];
        for (missing, message, remedy) in missing {
            if missing {
                self.say(Code::SectionMissing, 0, message, remedy);
            }
        }
        self.findings.append(&mut self.zones.findings);
        (self.document, self.findings)
    }
}
