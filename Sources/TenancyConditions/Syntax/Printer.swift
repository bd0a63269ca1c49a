/// Writes a parsed expression in one spelling.
struct Printer {
  private var out = ""

  static func text(_ node: Node) -> String {
    var printer = Printer()
    printer.print(node, above: 0)
    return printer.out
  }

  /// How tightly a node binds: `?:` 0, `||` 1, `&&` 2, then ``Node/Operator/precedence``, unary 6,
  /// members 7.
  private static func precedence(_ node: Node) -> Int {
    switch node.form {
    case .conditional: 0
    case .or: 1
    case .and: 2
    case .binary(let `operator`, _, _): `operator`.precedence
    case .not, .negate: 6
    default: 7
    }
  }

  /// Prints a node, in parentheses if it binds less tightly than what is around it.
  private mutating func print(_ node: Node, above: Int) {
    let needsParentheses = Printer.precedence(node) < above
    if needsParentheses { out += "(" }
    form(node)
    if needsParentheses { out += ")" }
  }

  private mutating func form(_ node: Node) {
    switch node.form {
    case .literal(let value): literal(value)
    case .name(let name, let isRooted): out += isRooted ? ".\(name)" : name
    case .select(let operand, let field):
      member(operand)
      out += ".\(field)"
    case .index(let operand, let place):
      member(operand)
      out += "["
      print(place, above: 0)
      out += "]"
    case .call(let receiver, let name, let arguments):
      if let receiver {
        member(receiver)
        out += "."
      }
      out += "\(name)("
      list(arguments)
      out += ")"
    case .list(let elements):
      out += "["
      list(elements)
      out += "]"
    case .map(let entries): map(entries)
    case .not(let operand): unary("!", operand)
    case .negate(let operand): unary("-", operand)
    case .binary(let `operator`, let left, let right):
      print(left, above: `operator`.precedence)
      out += " \(`operator`.rawValue) "
      print(right, above: `operator`.precedence + 1)
    case .and(let operands): chain(operands, " && ", 3)
    case .or(let operands): chain(operands, " || ", 2)
    case .conditional(let test, let yes, let no):
      print(test, above: 1)
      out += " ? "
      print(yes, above: 1)
      out += " : "
      print(no, above: 0)
    case .has(let operand, let field):
      out += "has("
      member(operand)
      out += ".\(field))"
    case .macro(let macro, let range, let variable, let bodies):
      member(range)
      out += ".\(macro.rawValue)(\(variable), "
      list(bodies)
      out += ")"
    }
  }

  /// What is selected from. A number would take the dot for its own.
  private mutating func member(_ operand: Node) {
    switch operand.form {
    case .literal(.int), .literal(.uint), .literal(.double):
      out += "("
      form(operand)
      out += ")"
    default: print(operand, above: 7)
    }
  }

  /// The operand of a unary operator. One of the same kind may follow it, and nothing else.
  private mutating func unary(_ sign: String, _ operand: Node) {
    out += sign
    switch (operand.form, sign) {
    case (.not, "!"), (.negate, "-"): form(operand)
    case (.literal(.int), "-"), (.literal(.double), "-"):
      // So that the sign stays an operator and does not become the literal's.
      out += "("
      form(operand)
      out += ")"
    default: print(operand, above: 7)
    }
  }

  private mutating func chain(_ operands: [Node], _ between: String, _ above: Int) {
    for (place, operand) in operands.enumerated() {
      if place > 0 { out += between }
      print(operand, above: above)
    }
  }

  private mutating func list(_ elements: [Node]) {
    for (place, element) in elements.enumerated() {
      if place > 0 { out += ", " }
      print(element, above: 0)
    }
  }

  private mutating func map(_ entries: [(key: Node, value: Node)]) {
    out += "{"
    for (place, entry) in entries.enumerated() {
      if place > 0 { out += ", " }
      print(entry.key, above: 0)
      out += ": "
      print(entry.value, above: 0)
    }
    out += "}"
  }

  // MARK: literals

  private mutating func literal(_ value: ConditionValue) {
    switch value {
    case .null: out += "null"
    case .bool(let value): out += value ? "true" : "false"
    case .int(let value): out += String(value)
    case .uint(let value): out += "\(value)u"
    case .double(let value): out += value.description
    case .string(let text): quote(text)
    case .bytes(let bytes): quote(bytes)
    default: break
    }
  }

  private mutating func quote(_ text: String) {
    out += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      default:
        if scalar.value < 0x20 || scalar.value == 0x7F {
          hex(UInt8(truncatingIfNeeded: scalar.value))
        } else {
          out.unicodeScalars.append(scalar)
        }
      }
    }
    out += "\""
  }

  private mutating func quote(_ bytes: [UInt8]) {
    out += "b\""
    for byte in bytes {
      if byte < 0x20 || byte >= 0x7F || byte == 0x22 || byte == 0x5C {
        hex(byte)
      } else {
        out.unicodeScalars.append(Unicode.Scalar(byte))
      }
    }
    out += "\""
  }

  private mutating func hex(_ byte: UInt8) {
    let digits = String(byte, radix: 16)
    out += byte < 16 ? "\\x0\(digits)" : "\\x\(digits)"
  }
}
