//! Expressions of a root: literals, and references to variables with a value and to locals. Anything else is
//! unknown, with the reason.
//!
//! Bounded in depth and in work: a local that names itself, or doubles itself again and again, ends as unknown.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use hcl_edit::expr::{Expression, ObjectKey, Traversal, TraversalOperator};
use hcl_edit::structure::{Body, Structure};
use hcl_edit::template::{Element, Template};

use super::value::Value;

/// How deep values may nest, references included: hcl-edit itself reads 64 levels, and a level is a few hundred
/// bytes of a thread's 2 MiB of stack.
const MAX_DEPTH: usize = 128;
/// How much may be resolved for one root. A value costs 16 and a text its bytes besides: three times what the
/// largest input can hold as it stands, about 100 MB.
const MAX_WORK: usize = 32 * 1024 * 1024;
/// What a value costs.
const VALUE: usize = 16;

/// A variable of a root.
#[derive(Default)]
pub(super) struct Variable<'a> {
    /// Its default, or its value from `terraform.tfvars`.
    pub value: Option<&'a Expression>,
    pub sensitive: bool,
}

/// What expressions of a root can refer to.
pub(super) struct Scope<'a> {
    pub variables: HashMap<&'a str, Variable<'a>>,
    pub locals: HashMap<&'a str, &'a Expression>,
    left: Cell<usize>,
}

impl<'a> Scope<'a> {
    pub(super) fn new() -> Self {
        Scope { variables: HashMap::new(), locals: HashMap::new(), left: Cell::new(MAX_WORK) }
    }

    /// Whether there was more to resolve than is allowed.
    pub(super) fn exhausted(&self) -> bool {
        self.left.get() == 0
    }

    /// The attributes and blocks of a body, blocks as lists.
    pub(super) fn body(&self, body: &Body) -> Value {
        let mut found = BTreeMap::new();
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => {
                    found.insert(attribute.key.as_str().to_owned(), self.value(&attribute.value));
                }
                Structure::Block(block) if block.ident.as_str() == "dynamic" => {
                    if let Some(label) = block.labels.first() {
                        let value = Value::Unknown("a dynamic block".to_owned());
                        found.insert(label.as_str().to_owned(), value);
                    }
                }
                Structure::Block(block) => {
                    let value = self.body(&block.body);
                    match found.entry(block.ident.as_str().to_owned()).or_insert(Value::List(Vec::new())) {
                        Value::List(list) => list.push(value),
                        // Beside a dynamic block of the same name: how many there are is unknown.
                        Value::Unknown(_) => {}
                        other => *other = Value::List(vec![value]),
                    }
                }
            }
        }
        Value::Map(found)
    }

    /// The value of an expression.
    pub(super) fn value(&self, expression: &Expression) -> Value {
        self.at(expression, 0)
    }

    fn pay(&self, cost: usize) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(cost));
        left > cost
    }

    fn at(&self, expression: &Expression, depth: usize) -> Value {
        if depth > MAX_DEPTH || !self.pay(VALUE) {
            return Value::Unknown("it is too deep, or refers to itself".to_owned());
        }
        match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(yes) => Value::Bool(**yes),
            Expression::Number(number) => {
                number.as_f64().map_or(Value::Unknown("no finite number".to_owned()), Value::Number)
            }
            Expression::String(text) => self.text(text.as_str().to_owned()),
            Expression::Array(list) => {
                Value::List(list.iter().map(|item| self.at(item, depth + 1)).collect())
            }
            Expression::Object(object) => {
                let mut found = BTreeMap::new();
                for (key, value) in object {
                    let Some(key) = self.key(key, depth + 1) else {
                        return Value::Unknown("a key is computed".to_owned());
                    };
                    found.insert(key, self.at(value.expr(), depth + 1));
                }
                Value::Map(found)
            }
            Expression::StringTemplate(template) => self.template(template.iter(), depth + 1),
            Expression::HeredocTemplate(heredoc) => {
                let template: &Template = &heredoc.template;
                self.template(template.iter(), depth + 1)
            }
            Expression::Parenthesis(inner) => self.at(inner.inner(), depth + 1),
            Expression::Traversal(traversal) => self.reference(traversal, depth + 1),
            Expression::Conditional(choice) => match self.at(&choice.cond_expr, depth + 1) {
                Value::Bool(true) => self.at(&choice.true_expr, depth + 1),
                Value::Bool(false) => self.at(&choice.false_expr, depth + 1),
                other => Value::Unknown(other.why("a condition")),
            },
            Expression::FuncCall(call) => {
                let name = call.name.name.as_str();
                match (name, call.args.iter().next()) {
                    ("toset" | "tolist", Some(argument)) => distinct(self.at(argument, depth + 1), name),
                    _ => Value::Unknown(format!("a call of {}()", shown(name))),
                }
            }
            Expression::Variable(name) => Value::Unknown(shown(name.as_str())),
            Expression::UnaryOp(_) | Expression::BinaryOp(_) => Value::Unknown("a computation".to_owned()),
            Expression::ForExpr(_) => Value::Unknown("a for expression".to_owned()),
        }
    }

    fn text(&self, text: String) -> Value {
        match self.pay(text.len()) {
            true => Value::Text(text),
            false => Value::Unknown("it is too long".to_owned()),
        }
    }

    fn key(&self, key: &ObjectKey, depth: usize) -> Option<String> {
        match key {
            ObjectKey::Ident(name) => Some(name.as_str().to_owned()),
            ObjectKey::Expression(Expression::Variable(name)) => Some(name.as_str().to_owned()),
            ObjectKey::Expression(expression) => match self.at(expression, depth) {
                Value::Text(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            },
        }
    }

    fn template<'e>(&self, elements: impl Iterator<Item = &'e Element>, depth: usize) -> Value {
        let mut elements = elements.peekable();
        let mut text = String::new();
        while let Some(element) = elements.next() {
            let part = match element {
                Element::Literal(literal) => Value::Text(literal.as_str().to_owned()),
                Element::Interpolation(interpolation) => self.at(&interpolation.expr, depth),
                Element::Directive(_) => Value::Unknown("a template's directive".to_owned()),
            };
            // "${x}" is x itself, whatever that is.
            if text.is_empty() && elements.peek().is_none() {
                return part;
            }
            match part {
                Value::Text(part) if self.pay(part.len()) => text.push_str(&part),
                Value::Number(number) => text.push_str(&number.to_string()),
                Value::Bool(yes) => text.push_str(if yes { "true" } else { "false" }),
                other => return Value::Unknown(other.why("a part of it")),
            }
        }
        self.text(text)
    }

    fn reference(&self, traversal: &Traversal, depth: usize) -> Value {
        let Expression::Variable(head) = &traversal.expr else {
            return Value::Unknown("a part of a computed value".to_owned());
        };
        let (head, operators) = (head.as_str(), &traversal.operators[..]);
        let first = operators.first().map(|operator| operator.value());
        let named = match first {
            Some(TraversalOperator::GetAttr(name)) => Some(name.as_str()),
            _ => None,
        };
        let value = match (head, named) {
            ("var", Some(name)) => match self.variables.get(name) {
                Some(Variable { sensitive: true, .. }) => {
                    return Value::Unknown(format!("var.{} is sensitive", shown(name)));
                }
                Some(Variable { value: Some(value), .. }) => self.at(value, depth),
                Some(Variable { value: None, .. }) => {
                    return Value::Unknown(format!("var.{} has no default", shown(name)));
                }
                None => return Value::Unknown(format!("var.{} is not declared", shown(name))),
            },
            ("local", Some(name)) => match self.locals.get(name) {
                Some(value) => self.at(value, depth),
                None => return Value::Unknown(format!("local.{} is not declared", shown(name))),
            },
            ("module", Some(name)) => return Value::Unknown(format!("module.{} hides it", shown(name))),
            ("each" | "count" | "path" | "self" | "terraform", _) => {
                return Value::Unknown(written(head, operators));
            }
            _ => return self.text_of(head, operators),
        };
        operators[1..].iter().fold(value, |value, operator| self.part(&value, operator.value(), depth))
    }

    fn text_of(&self, head: &str, operators: &[hcl_edit::Decorated<TraversalOperator>]) -> Value {
        match self.text(written(head, operators)) {
            Value::Text(text) => Value::Refers(text),
            other => other,
        }
    }

    fn part(&self, value: &Value, operator: &TraversalOperator, depth: usize) -> Value {
        let index = match operator {
            TraversalOperator::GetAttr(name) => Value::Text(name.as_str().to_owned()),
            TraversalOperator::Index(expression) => self.at(expression, depth + 1),
            TraversalOperator::LegacyIndex(index) => Value::Number(**index as f64),
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                return Value::Unknown("a splat".to_owned());
            }
        };
        let found = match (value, &index) {
            (Value::Map(map), Value::Text(key)) => map.get(key),
            (Value::List(list), Value::Number(number)) if *number >= 0.0 => list.get(*number as usize),
            (Value::Unknown(_), _) => Some(value),
            _ => None,
        };
        found.cloned().unwrap_or_else(|| Value::Unknown("a part that is not there".to_owned()))
    }
}

/// A set holds each text once.
fn distinct(value: Value, call: &str) -> Value {
    match value {
        Value::List(list) if call == "toset" => {
            let known = list.iter().all(|item| matches!(item, Value::Text(_)));
            if !known {
                return Value::Unknown("a set of values that are not known".to_owned());
            }
            let mut seen = std::collections::HashSet::new();
            let fresh = |item: &Value| match item {
                Value::Text(text) => seen.insert(text.clone()),
                _ => true,
            };
            let mut list = list;
            list.retain(fresh);
            Value::List(list)
        }
        other => other,
    }
}

/// A reference as it is written, with indices that are literals.
fn written(head: &str, operators: &[hcl_edit::Decorated<TraversalOperator>]) -> String {
    let mut text = shown(head);
    for operator in operators.iter().take(MAX_PARTS) {
        match operator.value() {
            TraversalOperator::GetAttr(name) => {
                text.push('.');
                text.push_str(&shown(name.as_str()));
            }
            TraversalOperator::Index(Expression::Number(number)) => {
                text.push_str(&format!("[{}]", number.value()));
            }
            TraversalOperator::Index(Expression::String(key)) => {
                text.push_str(&format!("[{:?}]", shown(key)))
            }
            TraversalOperator::LegacyIndex(index) => text.push_str(&format!("[{}]", index.value())),
            TraversalOperator::Index(_) => text.push_str("[…]"),
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => text.push_str("[*]"),
        }
    }
    text
}

/// How many parts of a reference are shown: `data.type.name.attribute` and a few inside it.
const MAX_PARTS: usize = 8;
/// How much of a name is shown: Terraform's names have no limit, AWS's have at most 255.
const MAX_SHOWN: usize = 64;

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}
