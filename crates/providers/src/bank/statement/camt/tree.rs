//! The elements of a file, statement by statement.
//!
//! No document type, no entities but XML's own five and characters by number, bounded depth and
//! size: one child of a statement is held at a time.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::super::Encoding;
use super::super::common::{Mistakes, decode};

const DEPTH_MAX: usize = 40;
/// An entry with a hundred thousand details, richly described.
const NODES_MAX: usize = 4_000_000;

/// An element.
#[derive(Default)]
pub(super) struct Node {
    pub(super) line: u32,
    /// The name without its prefix.
    pub(super) name: String,
    /// Its own text.
    pub(super) text: String,
    /// The attribute `Ccy`.
    pub(super) currency: Option<String>,
    pub(super) children: Vec<Node>,
}

impl Node {
    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(super) fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> + 'n {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element at the end of a path of names, the first one of each.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.child(name))
    }

    /// The text at the end of a path, without blanks around it; `None` when there is none.
    pub(super) fn text_of(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(|node| node.text.trim()).filter(|text| !text.is_empty())
    }
}

/// Calls `each` for every child of every `Stmt`, with the number of the statement from 0.
pub(super) fn walk(
    bytes: &[u8],
    mistakes: &mut Mistakes,
    mut each: impl FnMut(usize, &Node, &mut Mistakes),
) {
    let Some(text) = decode(bytes, declared(bytes), mistakes) else { return };
    let mut walk = Walk {
        reader: Reader::from_str(&text),
        text: &text,
        at: 0,
        line: 1,
        outer: Vec::new(),
        inner: Vec::new(),
        statements: 0,
        nodes: 0,
    };
    loop {
        match walk.step() {
            Ok(Step::Child(node)) => each(walk.statements - 1, &node, mistakes),
            Ok(Step::On) => {}
            Ok(Step::End) => return,
            Err(rule) => {
                let fix = "export the file again; it must be a camt.053 document";
                mistakes.add(walk.line_now(), "file", rule, fix);
                return;
            }
        }
        if mistakes.full() {
            return;
        }
    }
}

/// The encoding that the XML declaration names.
fn declared(bytes: &[u8]) -> Encoding {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_ascii_lowercase();
    let declaration = head.split("?>").next().unwrap_or_default();
    let named = |names: &[&str]| {
        names.iter().any(|name| {
            declaration.contains(&format!("encoding=\"{name}\""))
                || declaration.contains(&format!("encoding='{name}'"))
        })
    };
    match () {
        () if named(&["gbk", "gb2312"]) => Encoding::Gbk,
        () if named(&["gb18030"]) => Encoding::Gb18030,
        () if named(&["iso-8859-1", "windows-1252"]) => Encoding::Windows1252,
        () => Encoding::Utf8,
    }
}

struct Walk<'t> {
    reader: Reader<&'t [u8]>,
    text: &'t str,
    at: usize,
    line: u32,
    /// The names of the elements around the children of a statement.
    outer: Vec<String>,
    /// The open elements inside a statement, the outermost first.
    inner: Vec<Node>,
    statements: usize,
    nodes: usize,
}

enum Step {
    On,
    Child(Node),
    End,
}

impl Walk<'_> {
    /// The line that the reader has come to.
    fn line_now(&mut self) -> u32 {
        let to = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        let to = to.clamp(self.at, self.text.len());
        let passed = &self.text.as_bytes()[self.at..to];
        self.line += u32::try_from(passed.iter().filter(|b| **b == b'\n').count()).unwrap_or(0);
        self.at = to;
        self.line
    }

    fn step(&mut self) -> Result<Step, &'static str> {
        match self.reader.read_event().map_err(|_| "it is no well-formed XML")? {
            Event::Start(start) => self.open(&start).map(|()| Step::On),
            Event::Empty(start) => {
                self.open(&start)?;
                Ok(self.close())
            }
            Event::End(_) => Ok(self.close()),
            Event::Text(text) => Ok(self.push(&text)),
            Event::CData(text) => Ok(self.push(&text)),
            Event::GeneralRef(name) => {
                let text = resolved(&name).ok_or("it refers to an entity that is not XML's own")?;
                Ok(self.push(&text))
            }
            Event::DocType(_) => Err("it has a document type, which no statement needs"),
            Event::Eof if self.outer.is_empty() && self.inner.is_empty() => Ok(Step::End),
            Event::Eof => Err("it ends within an element; the file has been cut off"),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => Ok(Step::On),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), &'static str> {
        if self.outer.len() + self.inner.len() >= DEPTH_MAX {
            return Err("it is nested deeper than 40 elements");
        }
        let name = start.local_name().as_ref().to_owned();
        let inside = self.outer.last().is_some_and(|outer| outer == "Stmt");
        if !inside && self.inner.is_empty() {
            self.statements += usize::from(name == "Stmt");
            self.outer.push(name);
            return Ok(());
        }
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err("one entry has more than 4,000,000 elements");
        }
        let currency = start.attributes().flatten().find(|a| a.key.local_name().as_ref() == "Ccy");
        let currency = currency.map(|a| a.value.into_owned());
        let line = self.line_now();
        self.inner.push(Node { line, name, currency, ..Node::default() });
        Ok(())
    }

    fn push(&mut self, text: &str) -> Step {
        if let Some(node) = self.inner.last_mut() {
            node.text.push_str(text);
        }
        Step::On
    }

    fn close(&mut self) -> Step {
        match (self.inner.pop(), self.inner.last_mut()) {
            (Some(node), Some(parent)) => parent.children.push(node),
            (Some(node), None) => {
                self.nodes = 0;
                return Step::Child(node);
            }
            (None, _) => {
                self.outer.pop();
            }
        }
        Step::On
    }
}

/// What `&name;` stands for: one of XML's five, or a character by number.
fn resolved(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).map(String::from);
    }
    quick_xml::escape::resolve_xml_entity(name).map(str::to_owned)
}
