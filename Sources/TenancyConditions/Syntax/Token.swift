/// A lexical element and where it is. Langdef, "Syntax".
struct Token {
  enum Kind: Equatable {
    case name, int, uint, double, string, bytes, end
    case `true`, `false`, null, `in`
    case question, colon, comma, dot, leftParen, rightParen, leftBracket, rightBracket
    case leftBrace, rightBrace, not, minus, plus, star, slash, percent, and, or
    case less, lessEqual, greater, greaterEqual, equal, notEqual

    /// For a message: what was expected, or found.
    var words: String {
      switch self {
      case .name: "a name"
      case .int, .uint, .double: "a number"
      case .string: "a string"
      case .bytes: "bytes"
      case .end: "the end"
      case .true: "'true'"
      case .false: "'false'"
      case .null: "'null'"
      case .in: "'in'"
      case .question: "'?'"
      case .colon: "':'"
      case .comma: "','"
      case .dot: "'.'"
      case .leftParen: "'('"
      case .rightParen: "')'"
      case .leftBracket: "'['"
      case .rightBracket: "']'"
      case .leftBrace: "'{'"
      case .rightBrace: "'}'"
      case .not: "'!'"
      case .minus: "'-'"
      case .plus: "'+'"
      case .star: "'*'"
      case .slash: "'/'"
      case .percent: "'%'"
      case .and: "'&&'"
      case .or: "'||'"
      case .less: "'<'"
      case .lessEqual: "'<='"
      case .greater: "'>'"
      case .greaterEqual: "'>='"
      case .equal: "'=='"
      case .notEqual: "'!='"
      }
    }
  }

  let kind: Kind
  let start: Int
  let end: Int
}
