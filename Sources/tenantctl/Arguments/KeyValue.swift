import Foundation
import Tenancy

/// `NAME=VALUE`, as options take it.
struct KeyValue: Equatable {
  let key: String
  let value: String

  /// Splits at the first `=`.
  init(parsing text: String) throws(UsageError) {
    guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
      throw UsageError("'\(text)' is not NAME=VALUE")
    }
    key = String(text[..<sign])
    value = String(text[text.index(after: sign)...])
  }

  /// The pairs by name.
  static func dictionary<Value>(
    _ pairs: [KeyValue], option: String, _ value: (KeyValue) throws(UsageError) -> Value
  ) throws(UsageError) -> [String: Value] {
    var result: [String: Value] = [:]
    for pair in pairs {
      guard result.updateValue(try value(pair), forKey: pair.key) == nil else {
        throw UsageError("\(option) names '\(pair.key)' twice")
      }
    }
    return result
  }

  func bool() throws(UsageError) -> Bool {
    switch value {
    case "true": true
    case "false": false
    default: throw UsageError("the flag '\(key)' is true or false, not '\(value)'")
    }
  }

  /// JSON if it is, else text. What begins like a JSON object, array or string has to be one.
  func json() throws(UsageError) -> JSONValue {
    // An error means that it is not JSON; which one, does not matter.
    if let json = try? JSONDecoder().decode(JSONValue.self, from: Data(value.utf8)) { return json }
    if let first = value.first, "{[\"".contains(first) {
      throw UsageError("the setting '\(key)' looks like JSON but is not: \(value)")
    }
    return .string(value)
  }
}

/// Names of things on the server.
enum ResourceName {
  /// `tenants/{tenant}`, from that or the bare id or slug.
  static func tenant(_ text: String) throws(UsageError) -> String {
    "tenants/\(try part(text, of: "tenants/", "tenant"))"
  }

  /// `tenants/{tenant}/roles/{role}`.
  static func role(_ role: String, in tenant: String) throws(UsageError) -> String {
    let parent = try Self.tenant(tenant)
    return "\(parent)/roles/\(try part(role, of: "\(parent)/roles/", "role"))"
  }

  /// `tenants/{tenant}/assignments/{assignment}`.
  static func assignment(_ id: String, in tenant: String) throws(UsageError) -> String {
    let parent = try Self.tenant(tenant)
    return "\(parent)/assignments/\(try part(id, of: "\(parent)/assignments/", "assignment"))"
  }

  /// `tenants/{tenant}/groups/{group}`.
  static func group(_ group: String, in tenant: String) throws(UsageError) -> String {
    let parent = try Self.tenant(tenant)
    return "\(parent)/groups/\(try part(group, of: "\(parent)/groups/", "group"))"
  }

  /// `tenants/{tenant}/groupMembers/{membership}`.
  static func groupMember(_ id: String, in tenant: String) throws(UsageError) -> String {
    let parent = try Self.tenant(tenant)
    return "\(parent)/groupMembers/\(try part(id, of: "\(parent)/groupMembers/", "membership"))"
  }

  /// `tenants/{tenant}/domains/{domain}`.
  static func domain(_ domain: String, of tenant: String) throws(UsageError) -> String {
    let parent = try Self.tenant(tenant)
    return "\(parent)/domains/\(try part(domain, of: "\(parent)/domains/", "domain"))"
  }

  /// `settingDefinitions/{setting}`.
  static func setting(_ id: String) throws(UsageError) -> String {
    "settingDefinitions/\(try part(id, of: "settingDefinitions/", "setting"))"
  }

  /// `plans/{plan}`.
  static func plan(_ id: String) throws(UsageError) -> String {
    "plans/\(try part(id, of: "plans/", "plan"))"
  }

  /// `featureFlags/{flag}`.
  static func flag(_ id: String) throws(UsageError) -> String {
    "featureFlags/\(try part(id, of: "featureFlags/", "flag"))"
  }

  /// `workloadEntries/{entry}`.
  static func entry(_ id: String) throws(UsageError) -> String {
    "workloadEntries/\(try part(id, of: "workloadEntries/", "entry"))"
  }

  /// `certificateAuthorities/{authority}`.
  static func authority(_ id: String) throws(UsageError) -> String {
    "certificateAuthorities/\(try part(id, of: "certificateAuthorities/", "authority"))"
  }

  /// What is behind the last slash.
  static func last(_ name: String) -> String {
    name.lastIndex(of: "/").map { String(name[name.index(after: $0)...]) } ?? name
  }

  private static func part(
    _ text: String, of prefix: String, _ kind: String
  ) throws(UsageError) -> Substring {
    let rest = text.hasPrefix(prefix) ? text.dropFirst(prefix.count) : text[...]
    // A slash would make it the name of something else.
    guard !rest.isEmpty, !rest.contains("/") else {
      throw UsageError("'\(text)' is no \(kind)'s name")
    }
    return rest
  }
}

/// A span of time: `90m`, `8h`, `30d`.
struct TimeSpan: Equatable {
  /// Longest span: a hundred years.
  static let maximumSeconds: Int64 = 36_500 * 86_400

  let seconds: Int64

  init(parsing text: String) throws(UsageError) {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
    guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()),
      count > 0, count <= Self.maximumSeconds / unit
    else { throw UsageError("'\(text)' is no time span: a number and s, m, h or d") }
    seconds = count * unit
  }
}
