import Tenancy

/// The filter of ListTenants: a subset of AIP-160, comparisons joined by AND.
struct TenantFilter {
  private enum Pattern {
    case exact(String)
    case prefix(String)

    func matches(_ text: String) -> Bool {
      switch self {
      case .exact(let wanted): text == wanted
      case .prefix(let wanted): text.hasPrefix(wanted)
      }
    }
  }

  private struct Comparison {
    let field: String
    let isNegated: Bool
    let pattern: Pattern
  }

  /// Bytes of a filter.
  static let maximumLength = 2048

  private let comparisons: [Comparison]

  init(parsing text: String) throws(TenancyError) {
    guard text.utf8.count <= Self.maximumLength else {
      throw .invalid("filter", "longer than \(Self.maximumLength) bytes")
    }
    var tokens = try FilterTokens(text)
    var comparisons: [Comparison] = []
    while !tokens.isAtEnd {
      if !comparisons.isEmpty, try tokens.next() != .word("AND") {
        throw .invalid("filter", "comparisons are joined by AND")
      }
      comparisons.append(try Self.comparison(&tokens))
    }
    self.comparisons = comparisons
  }

  func matches(_ tenant: Tenant) -> Bool {
    comparisons.allSatisfy { comparison in
      let value =
        switch comparison.field {
        case "state": tenant.state.rawValue
        case "isolation_model": tenant.isolationModel.rawValue
        case "slug": tenant.slug.text
        default: tenant.displayName
        }
      return comparison.pattern.matches(value) != comparison.isNegated
    }
  }

  private static func comparison(_ tokens: inout FilterTokens) throws(TenancyError) -> Comparison {
    guard case .word(let field) = try tokens.next(),
      ["state", "isolation_model", "slug", "display_name"].contains(field)
    else {
      throw .invalid("filter", "fields are state, isolation_model, slug and display_name")
    }
    guard case .symbol(let symbol) = try tokens.next() else {
      throw .invalid("filter", "expected = or != behind \(field)")
    }
    let value: String
    var pattern: Pattern
    switch try tokens.next() {
    case .word(let word):
      value = word
      pattern = .exact(word)
    case .text(let text):
      value = text
      pattern = text.hasSuffix("*") ? .prefix(String(text.dropLast())) : .exact(text)
    case .symbol, .end:
      throw .invalid("filter", "expected a value behind \(field)")
    }
    if field == "state" || field == "isolation_model" {
      pattern = .exact(try enumeration(field, value))
    }
    return Comparison(field: field, isNegated: symbol == "!=", pattern: pattern)
  }

  /// Enum values are written as in the API, with or without their prefix.
  private static func enumeration(_ field: String, _ value: String) throws(TenancyError) -> String {
    let prefix = field == "state" ? "TENANT_STATE_" : "ISOLATION_MODEL_"
    let name = (value.hasPrefix(prefix) ? String(value.dropFirst(prefix.count)) : value)
    let known =
      field == "state"
      ? TenantState.allCases.map(\.rawValue) : IsolationModel.allCases.map(\.rawValue)
    guard name == name.uppercased(), known.contains(name.lowercased()) else {
      throw .invalid("filter", "\"\(value)\" is no value of \(field)")
    }
    return name.lowercased()
  }
}

/// The words, symbols and quoted texts of a filter.
private struct FilterTokens {
  enum Token: Equatable {
    case word(String)
    case symbol(String)
    case text(String)
    case end
  }

  private var tokens: [Token] = []
  private var position = 0

  var isAtEnd: Bool { position == tokens.count }

  init(_ text: String) throws(TenancyError) {
    var rest = text[...]
    while let character = rest.first {
      if character == " " {
        rest.removeFirst()
      } else if character == "\"" {
        rest.removeFirst()
        guard let close = rest.firstIndex(of: "\"") else {
          throw .invalid("filter", "a quoted text is not closed")
        }
        tokens.append(.text(String(rest[..<close])))
        rest = rest[rest.index(after: close)...]
      } else if rest.hasPrefix("!=") {
        tokens.append(.symbol("!="))
        rest = rest.dropFirst(2)
      } else if character == "=" {
        tokens.append(.symbol("="))
        rest.removeFirst()
      } else {
        let word = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "_-".contains($0)) }
        guard !word.isEmpty else { throw .invalid("filter", "unexpected character") }
        tokens.append(.word(String(word)))
        rest = rest.dropFirst(word.count)
      }
    }
  }

  mutating func next() throws(TenancyError) -> Token {
    guard position < tokens.count else { return .end }
    position += 1
    return tokens[position - 1]
  }
}
