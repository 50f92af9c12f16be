//! The condition of a rule: a checked part of CEL, the Common Expression Language.
//!
//! CEL has no loops of its own; the macros that run over lists are refused here, as is every
//! function that is not in [`call`]. An accepted expression therefore visits each of its parts
//! at most once, on text of at most [`TEXT_MAX`] bytes and [`DEPTH_MAX`] brackets deep: it
//! always ends, allocates next to nothing, and reaches nothing but the facts it is given. Names,
//! types and the words that a name can be compared with are checked when it is read, so that
//! what can still fail at run time is a note that is absent, an overflow or a division by zero.

use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators};
use cel::parser::PrattParser;
use cel::{Context, Env, IdedExpr, ParseErrors, Value};

use super::facts::{Facts, Kind};

/// The longest text of a condition, in bytes.
pub const TEXT_MAX: usize = 1_000;
/// The most brackets within each other. The library's parser takes some 150 KB of stack for
/// each in a debug build, and tells of too many only when it is too late.
pub const DEPTH_MAX: usize = 8;
/// The most signs of arithmetic: a chain of them is as deep as it is long.
const SIGNS_MAX: usize = 100;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Where conditions look names up; made once for all rules, because making one takes as long as
/// a condition.
pub(super) struct Scope<'f>(Context<'f, 'f>);

impl<'f> Scope<'f> {
    pub(super) fn of(facts: &'f Facts<'f>) -> Scope<'f> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(facts);
        Scope(context)
    }
}

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {rule}")]
pub struct Wrong {
    /// Where in the text, in characters from 1.
    pub at: usize,
    /// The rule that it breaks.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

/// A condition that was read and checked.
#[derive(Clone, Debug)]
pub(super) struct Expression(IdedExpr);

/// A mistake at a node of the tree, before its place is known.
struct AtNode {
    id: u64,
    rule: String,
    fix: String,
}

type Checked = Result<Kind, AtNode>;

impl Expression {
    /// Reads and checks a condition.
    pub(super) fn read(text: &str) -> Result<Expression, Wrong> {
        let wrong = |at, rule: &str, fix: &str| Wrong { at, rule: rule.into(), fix: fix.into() };
        if text.trim().is_empty() {
            return Err(wrong(1, "it is empty", "write a condition, or leave `when` out"));
        }
        if text.len() > TEXT_MAX {
            let rule = format!("it is longer than {TEXT_MAX} bytes");
            return Err(wrong(TEXT_MAX, &rule, "split it into several rules"));
        }
        guard(text)?;
        bounded().parse(text).map_err(|errors| unread(text, &errors))?;
        let parsed = ENV.parser().error_recovery_limit(0).parse_with_source_info(text);
        let (tree, places) = parsed.map_err(|errors| unread(text, &errors))?;
        let checked = kind(&tree).and_then(|found| must_be(Kind::Bool, found, &tree));
        match checked {
            Ok(_) => Ok(Expression(tree)),
            Err(AtNode { id, rule, fix }) => {
                let byte = places.offset_for(id).map_or(0, |(start, _)| start as usize);
                let before = text.char_indices().take_while(|(at, _)| *at < byte).count();
                Err(Wrong { at: before + 1, rule, fix })
            }
        }
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// In a few words, when it cannot be said: a note that is absent, an overflow.
    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<bool, String> {
        match Value::resolve(&self.0, &scope.0) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            // The library's errors repeat values, which may be personal (rule 13).
            Err(error) => Err(reason(&error).to_owned()),
        }
    }
}

/// The library's second parser: it knows its bounds, but tells no places of what it accepts.
/// Only what it accepts reaches the first one, which tells places and overflows its stack on
/// some malformed texts.
fn bounded() -> PrattParser {
    PrattParser::new()
        .max_recursion_depth(24)
        .error_recovery_limit(0)
        .max_expression_node_count(500)
}

/// Keeps from the parser what it cannot bear: deep nesting, and brackets that do not match,
/// which it takes for nesting when it recovers. To know what is nested, quotes must mean the
/// same here as there, so what would confuse the two is refused as well.
fn guard(text: &str) -> Result<(), Wrong> {
    let mut scan = Scan::default();
    let chars: Vec<char> = text.chars().collect();
    for at in 0..chars.len() {
        scan.take(&chars[at..], at).map_err(|(at, rule, fix)| Wrong {
            at: at + 1,
            rule: rule.to_owned(),
            fix: fix.to_owned(),
        })?;
    }
    let open = scan.quote.map(|(_, at)| (at, "the text that begins here does not end", CLOSE));
    let open = open.or(scan.open.last().map(|(_, at)| (*at, UNMATCHED, MATCH)));
    match open {
        Some((at, rule, fix)) => Err(Wrong { at: at + 1, rule: rule.into(), fix: fix.into() }),
        None => Ok(()),
    }
}

const CLOSE: &str = "close its quote";
const MATCH: &str = "give it its partner, or leave it out";
const UNMATCHED: &str = "this bracket has no partner";

/// What was passed so far.
#[derive(Default)]
struct Scan {
    quote: Option<(char, usize)>,
    open: Vec<(char, usize)>,
    signs: usize,
}

type Refused = (usize, &'static str, &'static str);

impl Scan {
    /// Passes the first of `rest`, which stands at `at`.
    fn take(&mut self, rest: &[char], at: usize) -> Result<(), Refused> {
        match (self.quote, rest[0]) {
            (_, '\\') => return Err((at, "it has a backslash", "leave it out")),
            (Some((_, open)), '(' | ')' | '[' | ']' | '{' | '}' | '\n' | '\r') => {
                return Err((open, "a text ends on its line and has no brackets", CLOSE));
            }
            (Some((mark, _)), c) if c == mark => self.quote = None,
            (Some(_), _) => {}
            (None, c @ ('\'' | '"')) if rest.starts_with(&[c; 3]) => {
                return Err((at, "it has three quotes in a row", "write one"));
            }
            (None, c @ ('\'' | '"')) => self.quote = Some((c, at)),
            (None, '/') if rest.get(1) == Some(&'/') => {
                return Err((at, "it has a comment", "write it in a line of its own, after #"));
            }
            (None, '(') => self.open.push((')', at)),
            (None, '[') => self.open.push((']', at)),
            (None, '{') => self.open.push(('}', at)),
            (None, c @ (')' | ']' | '}')) => match self.open.pop() {
                Some((partner, _)) if partner == c => {}
                _ => return Err((at, UNMATCHED, MATCH)),
            },
            (None, '+' | '-' | '*' | '/' | '%') => self.signs += 1,
            _ => {}
        }
        if self.open.len() > DEPTH_MAX {
            let rule = "there are more than 8 brackets within each other";
            return Err((at, rule, "split it into several rules"));
        }
        if self.signs > SIGNS_MAX {
            return Err((at, "there are more than 100 signs of arithmetic", "write the result"));
        }
        Ok(())
    }
}

fn reason(error: &cel::ExecutionError) -> &'static str {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchKey(_) => "the payment's metadata has no such name",
        E::Overflow(..) => "a number is out of range",
        E::DivisionByZero(_) | E::RemainderByZero(_) => "a division by zero",
        _ => "it cannot be evaluated",
    }
}

fn unread(text: &str, errors: &ParseErrors) -> Wrong {
    // The first that has a place; that the parser gave up has none.
    let first = errors.errors.iter().find(|e| e.pos.0 > 0);
    let (line, column) = first.map_or((1, 1), |e| e.pos);
    let before = usize::try_from(line - 1).unwrap_or(0);
    let lines: usize = text.split_inclusive('\n').take(before).map(|l| l.chars().count()).sum();
    let at = lines + usize::try_from(column).unwrap_or(1).max(1);
    let detail = first.map_or("", |e| e.msg.lines().next().unwrap_or(""));
    Wrong {
        at: at.min(text.chars().count().max(1)),
        rule: format!("it cannot be read ({})", shortened(detail)),
        fix: "texts stand in '...', conditions are joined by && and ||, such as \
              method == 'alipay' && amount_minor >= 10000"
            .to_owned(),
    }
}

fn shortened(detail: &str) -> String {
    let kept: String = detail.chars().filter(|c| !c.is_control()).take(100).collect();
    if kept.is_empty() { "not an expression".to_owned() } else { kept }
}

fn refuse<T>(at: &IdedExpr, rule: impl Into<String>, fix: impl Into<String>) -> Result<T, AtNode> {
    Err(AtNode { id: at.id, rule: rule.into(), fix: fix.into() })
}

/// The kind of value that a part gives.
fn kind(part: &IdedExpr) -> Checked {
    match &part.expr {
        Expr::Literal(literal) => literal_kind(part, literal),
        Expr::Ident(name) => match Facts::kind_of(name) {
            Some(kind) => Ok(kind),
            None => refuse(
                part,
                format!("there is no `{name}`"),
                format!("the names are {}; texts stand in quotes", Facts::names()),
            ),
        },
        Expr::Select(select) => select_kind(part, select),
        Expr::List(list) => list_kind(part, &list.elements),
        Expr::Call(found) => call(part, found),
        Expr::Comprehension(_) => refuse(
            part,
            "all, exists, map and filter are not allowed here",
            "use `in` with a list, such as issuer in ['icbc', 'abc']",
        ),
        _ => refuse(part, "this kind of expression is not allowed here", HELP),
    }
}

const HELP: &str = "compare names with texts and whole numbers";

fn literal_kind(part: &IdedExpr, literal: &LiteralValue) -> Checked {
    match literal {
        LiteralValue::Boolean(_) => Ok(Kind::Bool),
        LiteralValue::Int(_) => Ok(Kind::Int),
        LiteralValue::String(_) => Ok(Kind::Text),
        LiteralValue::Double(_) | LiteralValue::UInt(_) => {
            refuse(part, "numbers are whole here", "write minor units: 1250 for 12.50")
        }
        _ => refuse(part, "this kind of value is not allowed here", HELP),
    }
}

/// `metadata.name` and `has(metadata.name)`.
fn select_kind(part: &IdedExpr, select: &SelectExpr) -> Checked {
    match kind(&select.operand)? {
        Kind::Notes if select.test => Ok(Kind::Bool),
        Kind::Notes => Ok(Kind::Text),
        _ => refuse(part, "only metadata has parts", "write metadata.name"),
    }
}

fn list_kind(part: &IdedExpr, elements: &[IdedExpr]) -> Checked {
    let Some((first, rest)) = elements.split_first() else {
        return refuse(part, "the list is empty", "list what is allowed");
    };
    let of = kind(first)?.plain();
    for element in rest {
        must_be(of, kind(element)?.plain(), element)?;
    }
    match of {
        Kind::Text => Ok(Kind::Texts),
        Kind::Int => Ok(Kind::Ints),
        _ => refuse(part, "a list holds texts or whole numbers", HELP),
    }
}

fn must_be(wanted: Kind, found: Kind, part: &IdedExpr) -> Checked {
    if wanted.plain() == found.plain() {
        return Ok(found);
    }
    let rule = format!("here must be {}, not {}", wanted.label(), found.label());
    refuse(part, rule, wanted.advice())
}

/// Every operator and function that there is.
fn call(part: &IdedExpr, found: &CallExpr) -> Checked {
    use operators as op;
    let name = found.func_name.as_str();
    match (name, found.target.as_deref(), found.args.as_slice()) {
        (op::LOGICAL_AND | op::LOGICAL_OR, None, args) => all_of(Kind::Bool, args, Kind::Bool),
        (op::LOGICAL_NOT, None, args @ [_]) => all_of(Kind::Bool, args, Kind::Bool),
        (op::EQUALS | op::NOT_EQUALS, None, [a, b]) => equal(a, b),
        (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, None, [a, b]) => {
            ordered(a, b)
        }
        (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, None, args @ [_, _]) => {
            all_of(Kind::Int, args, Kind::Int)
        }
        (op::NEGATE, None, args @ [_]) => all_of(Kind::Int, args, Kind::Int),
        (op::IN, None, [a, b]) => contained(a, b),
        (op::CONDITIONAL, None, [condition, yes, no]) => {
            must_be(Kind::Bool, kind(condition)?, condition)?;
            let yes = kind(yes)?;
            Ok(must_be(yes, kind(no)?, no)?.plain())
        }
        (op::INDEX, None, [notes, name]) => {
            must_be(Kind::Notes, kind(notes)?, notes)?;
            all_of(Kind::Text, std::slice::from_ref(name), Kind::Text)
        }
        ("startsWith" | "endsWith" | "contains", Some(text), args @ [_]) => {
            must_be(Kind::Text, kind(text)?, text)?;
            all_of(Kind::Text, args, Kind::Bool)
        }
        ("size", None, args @ [_]) => all_of(Kind::Text, args, Kind::Int),
        ("size", Some(text), []) => {
            must_be(Kind::Text, kind(text)?, text)?;
            Ok(Kind::Int)
        }
        _ => refuse(
            part,
            format!("`{}` is not allowed here", shortened(name.trim_matches('_'))),
            "there are ==, !=, <, <=, >, >=, in, &&, ||, !, ?:, + - * / %, startsWith, endsWith, \
             contains, size and has",
        ),
    }
}

fn all_of(wanted: Kind, args: &[IdedExpr], gives: Kind) -> Checked {
    for arg in args {
        must_be(wanted, kind(arg)?, arg)?;
    }
    Ok(gives)
}

fn equal(a: &IdedExpr, b: &IdedExpr) -> Checked {
    let (of_a, of_b) = (kind(a)?, kind(b)?);
    for (of, part) in [(of_a, a), (of_b, b)] {
        if !matches!(of.plain(), Kind::Bool | Kind::Int | Kind::Text) {
            return refuse(part, "lists and metadata are not compared as a whole", "use `in`");
        }
    }
    must_be(of_a, of_b, b)?;
    known_word(of_a, b)?;
    known_word(of_b, a)?;
    Ok(Kind::Bool)
}

fn ordered(a: &IdedExpr, b: &IdedExpr) -> Checked {
    let of_a = kind(a)?;
    must_be(of_a, kind(b)?, b)?;
    match of_a.plain() {
        Kind::Int | Kind::Text => Ok(Kind::Bool),
        _ => refuse(a, "there is no order among these", "use == or !="),
    }
}

fn contained(a: &IdedExpr, b: &IdedExpr) -> Checked {
    let of_a = kind(a)?;
    match (of_a.plain(), kind(b)?) {
        (Kind::Int, Kind::Ints) | (Kind::Text, Kind::Notes) => Ok(Kind::Bool),
        (Kind::Text, Kind::Texts) => {
            if let Expr::List(list) = &b.expr {
                list.elements.iter().try_for_each(|element| known_word(of_a, element))?;
            }
            Ok(Kind::Bool)
        }
        _ => refuse(b, "`in` needs a list of the same kind", "such as ['icbc', 'abc']"),
    }
}

/// A word that a name can never be is a slip of the pen.
fn known_word(of: Kind, part: &IdedExpr) -> Result<(), AtNode> {
    let (Kind::OneOf(words), Expr::Literal(LiteralValue::String(text))) = (of, &part.expr) else {
        return Ok(());
    };
    if words.contains(&text.inner()) {
        return Ok(());
    }
    refuse(
        part,
        format!("it is never '{}'", shortened(text.inner())),
        format!("one of {}", words.join(", ")),
    )
}
