import Tenancy

/// What is wrong with a file.
struct FleetProblem: Error, Equatable {
  let file: String
  /// From 1 on; nil: it is about no line.
  let line: Int?
  /// From 1 on; nil: it is about no column, or such files' columns are not told.
  var column: Int?
  /// Which member, such as `labels.region`; empty: the document.
  let field: String
  let text: String

  var description: String {
    let place = ([file] + [line, column].compactMap { $0.map(String.init) })
      .joined(separator: ":")
    return field.isEmpty ? "\(place): \(text)" : "\(place): \(field): \(text)"
  }
}

/// Fleet files that can't be read: all that is wrong with them.
struct FleetFailure: Error {
  /// More are not told one by one.
  static let maximumShown = 100

  let problems: [FleetProblem]
  var heading = "the files are not fleet files; nothing was changed"

  var lines: [String] {
    let more = problems.count - Self.maximumShown
    return [heading]
      + problems.prefix(Self.maximumShown).map { "  \($0.description)" }
      + (more > 0 ? ["  and \(more) more"] : [])
  }
}

/// A tenant and where it is declared.
struct FleetDocument: Sendable {
  let tenant: FleetTenant
  let file: String
  let line: Int
  /// Where its members are, by their paths.
  let lines: [String: Int]

  /// The line of a member, or of what it is in.
  func line(of field: String) -> Int {
    var path = field[...]
    while !path.isEmpty {
      if let line = lines[String(path)] { return line }
      guard let end = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { break }
      path = path[..<end]
    }
    return line
  }
}

/// Which part of a file's tenant a request is about.
enum FleetPart: Equatable {
  case tenant
  /// Where in the file's roles it is.
  case role(Int)
  /// Where in the file's assignments.
  case assignment(Int)
  case authentication

  /// - Parameter field: of the request.
  /// - Returns: nil for fields that are not of a part.
  func member(of field: Substring) -> String? {
    switch self {
    case .tenant: return nil
    case .role(let at):
      guard field.hasPrefix("role") else { return nil }
      let rest = field.dropFirst("role".count)
      return rest == "_id" ? "roles[\(at)].id" : "roles[\(at)]\(Self.camelCase(rest))"
    case .assignment(let at):
      switch field {
      case "assignment.subject": return "assignments[\(at)].subject"
      case "assignment.role": return "assignments[\(at)].role"
      case "assignment.resource": return "assignments[\(at)].resource"
      case "assignment.condition": return "assignments[\(at)].condition"
      case "assignment.reason": return "assignments[\(at)].reason"
      case "assignment.expire_time": return "assignments[\(at)].expires"
      default: return nil
      }
    case .authentication:
      guard field.hasPrefix("settings") else { return nil }
      return "authentication" + Self.camelCase(field.dropFirst("settings".count))
    }
  }

  private static func camelCase(_ field: Substring) -> String {
    var words = field.split(separator: "_").map(String.init)[...]
    let first = words.popFirst() ?? ""
    return first + words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }
}

extension FleetDocument {
  /// The member that the server means; nil: none of the file's.
  /// - Parameter part: what the request was about.
  static func member(of field: String, _ part: FleetPart = .tenant) -> String? {
    var field = field[...]
    if let member = part.member(of: field) { return member }
    for prefix in ["tenant.", "configuration."] where field.hasPrefix(prefix) {
      field = field.dropFirst(prefix.count)
    }
    for (theirs, ours) in names
    where field == theirs || field.hasPrefix(theirs + ".")
      || field.hasPrefix(theirs + "[")
    {
      return ours + field.dropFirst(theirs.count)
    }
    return nil
  }

  /// Longer ones first.
  private static let names = [
    ("slug", "slug"), ("display_name", "displayName"), ("isolation_model", "isolation"),
    ("labels", "labels"), ("annotations", "annotations"), ("custom_settings", "settings"),
    ("feature_flags", "featureFlags"), ("routes", "routes"), ("limits.plan", "plan"),
    ("limits.limits", "limits"), ("limits", "limits"), ("placement.region", "region"),
    ("placement.cluster", "cluster"), ("placement", "region"), ("data_categories", "categories"),
    ("database.connection_string", "database.connectionString"), ("database", "database"),
    ("schema.schema_name", "schemaName"), ("schema", "schemaName"),
    ("shared.tenant_identifier", "tenantIdentifier"), ("shared", "tenantIdentifier"),
  ]
}
