/// Why an expression was refused, and where.
public struct ConditionError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, as a stable word.
  public let code: Code
  /// The line, from 1.
  public let line: Int
  /// The column, from 1, in code points.
  public let column: Int
  /// What is wrong and, where that is known, what was expected.
  public let message: String

  /// For a person: `line:column: message`.
  public var description: String { "\(line):\(column): \(message)" }

  /// A kind of error of an expression. More may be added.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The stable word.
    public let description: String
    private init(_ description: String) { self.description = description }

    /// The text does not follow the grammar.
    public static let syntax = Code("SYNTAX")
    /// A literal has no value: out of range, a bad escape, not closed.
    public static let literal = Code("LITERAL")
    /// It is CEL, but not in the subset.
    public static let unsupported = Code("UNSUPPORTED")
    /// No attribute or variable has this name.
    public static let unknownName = Code("UNKNOWN_NAME")
    /// No function has this name, or not in this form.
    public static let unknownFunction = Code("UNKNOWN_FUNCTION")
    /// A value has a type that does not fit here.
    public static let type = Code("TYPE")
    /// A constant has a value that does not fit here.
    public static let argument = Code("ARGUMENT")
    /// The expression is over a limit of its size.
    public static let size = Code("SIZE")
    /// The expression could cost more than its limit.
    public static let cost = Code("COST")
  }
}

/// An error that still lacks its line and column.
struct Refusal: Error {
  let code: ConditionError.Code
  let offset: Int
  let message: String

  init(_ code: ConditionError.Code, at offset: Int, _ message: String) {
    self.code = code
    self.offset = offset
    self.message = message
  }

  func placed(in source: [UInt8]) -> ConditionError {
    let place = Place(of: offset, in: source)
    return ConditionError(code: code, line: place.line, column: place.column, message: message)
  }
}

/// A line and a column, from 1; columns count code points.
struct Place: Hashable {
  var line = 1
  var column = 1

  init(of offset: Int, in source: [UInt8]) {
    for byte in source.prefix(offset) {
      if byte == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else if byte & 0xC0 != 0x80 {
        column += 1
      }
    }
  }
}

/// Why an evaluation has no result.
public struct ConditionFailure: Error, Sendable, Hashable {
  /// What went wrong.
  public let reason: Reason
  /// Where: the offset in bytes into the source.
  public let offset: UInt32

  init(_ reason: Reason, at offset: UInt32) {
    self.reason = reason
    self.offset = offset
  }

  /// A kind of failure. More may be added.
  public struct Reason: Error, Sendable, Hashable, CustomStringConvertible {
    private enum Kind: UInt8 {
      case missingAttribute, noSuchKey, noSuchOverload, indexOutOfRange, overflow, divisionByZero
      case invalidArgument, duplicateKey, outOfFuel, tooDeep, foreignAttributes, wrongType
    }
    private let kind: Kind
    private init(_ kind: Kind) { self.kind = kind }

    /// The request has no such attribute.
    public static let missingAttribute = Reason(.missingAttribute)
    /// A map has no such key (CEL: `no_such_field`).
    public static let noSuchKey = Reason(.noSuchKey)
    /// An operator or function does not take values of these types (CEL: `no_matching_overload`).
    public static let noSuchOverload = Reason(.noSuchOverload)
    /// A list has no such element.
    public static let indexOutOfRange = Reason(.indexOutOfRange)
    /// A number, a time or a duration left its range.
    public static let overflow = Reason(.overflow)
    /// An integer was divided by zero.
    public static let divisionByZero = Reason(.divisionByZero)
    /// A text is not what a conversion or a time zone wants.
    public static let invalidArgument = Reason(.invalidArgument)
    /// A map literal has one key twice.
    public static let duplicateKey = Reason(.duplicateKey)
    /// The budget of the evaluation is spent.
    public static let outOfFuel = Reason(.outOfFuel)
    /// Values that are compared are nested too deeply.
    public static let tooDeep = Reason(.tooDeep)
    /// The values belong to another declaration of attributes.
    public static let foreignAttributes = Reason(.foreignAttributes)

    /// An attribute that the condition reads has a value that is not of its declared type.
    public static let wrongType = Reason(.wrongType)

    /// Whether `&&`, `||` and macros may pass over it, as they do over CEL's own errors.
    @inline(__always)
    var isAbsorbed: Bool {
      switch kind {
      case .outOfFuel, .tooDeep, .foreignAttributes, .wrongType: false
      default: true
      }
    }

    /// The stable word.
    public var description: String {
      switch kind {
      case .missingAttribute: "MISSING_ATTRIBUTE"
      case .noSuchKey: "NO_SUCH_KEY"
      case .noSuchOverload: "NO_SUCH_OVERLOAD"
      case .indexOutOfRange: "INDEX_OUT_OF_RANGE"
      case .overflow: "OVERFLOW"
      case .divisionByZero: "DIVISION_BY_ZERO"
      case .invalidArgument: "INVALID_ARGUMENT"
      case .duplicateKey: "DUPLICATE_KEY"
      case .outOfFuel: "OUT_OF_FUEL"
      case .tooDeep: "TOO_DEEP"
      case .foreignAttributes: "FOREIGN_ATTRIBUTES"
      case .wrongType: "WRONG_TYPE"
      }
    }
  }
}
