/// A parsed expression: what it is, and which bytes of the source it is.
struct Node {
  let start: Int
  let end: Int
  /// Nodes on the longest way down, this one included.
  let depth: Int
  let form: Form

  indirect enum Form {
    case literal(ConditionValue)
    /// A name; `isRooted` if a dot is in front of it, which passes over variables of macros.
    case name(String, isRooted: Bool)
    case select(Node, String)
    case index(Node, Node)
    /// A call of a function, or of one with a receiver.
    case call(Node?, String, [Node])
    case list([Node])
    case map([(key: Node, value: Node)])
    case not(Node)
    case negate(Node)
    case binary(Operator, Node, Node)
    case and([Node])
    case or([Node])
    case conditional(Node, Node, Node)
    /// `has(operand.field)`.
    case has(Node, String)
    case macro(Macro, range: Node, variable: String, [Node])
  }

  enum Operator: String {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessEqual = "<="
    case greater = ">"
    case greaterEqual = ">="
    case `in` = "in"
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case modulo = "%"

    /// Langdef: how tightly it binds, `||` being 1 and `&&` 2.
    var precedence: Int {
      switch self {
      case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .in: 3
      case .add, .subtract: 4
      case .multiply, .divide, .modulo: 5
      }
    }
  }

  enum Macro: String {
    case all, exists, filter, map
    case existsOne = "exists_one"
  }
}
