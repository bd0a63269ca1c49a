import Tenancy

/// How far a watch has come, which its resume tokens tell: with the changes, and with the snapshot before that.
///
/// As text it is a consistency token, and behind that what there is besides: `.` and how many changes of the next
/// revision were told; of within a snapshot also `.`, the tenant up to which it was told, `.` and what the watch was
/// asked.
struct WatchPlace: Equatable {
  /// Which tenants have been told of: of them alone changes are.
  enum Seen: Equatable {
    /// Up to this one, in order of ids; nil: none.
    case through(TenantID?)
    case all
  }

  /// Bytes of a token.
  static let maximumLength = 256

  let store: UInt64
  var changes: TenantChangePlace
  var seen: Seen

  init(store: UInt64, changes: TenantChangePlace, seen: Seen) {
    (self.store, self.changes, self.seen) = (store, changes, seen)
  }

  /// - Parameter question: what the watch is asked.
  init(parsing text: String, question: String) throws(TenancyError) {
    guard text.utf8.count <= Self.maximumLength else { throw Self.wrong }
    let parts = text.utf8.split(
      separator: UInt8(ascii: "."), maxSplits: 4, omittingEmptySubsequences: false
    ).map { String(Substring($0)) }
    // No log gets so far; behind it there is no next one.
    guard [1, 2, 4].contains(parts.count), let token = ConsistencyToken(parsing: parts[0]),
      token.revision < UInt64(Int64.max)
    else { throw Self.wrong }
    var told = 0
    if parts.count > 1 {
      guard let number = UInt16(parts[1]), String(number) == parts[1] else { throw Self.wrong }
      told = Int(number)
    }
    store = token.store
    changes = TenantChangePlace(revision: token.revision, changes: told)
    seen = .all
    guard parts.count == 4 else { return }
    let id = TenantID(parsing: parts[2])
    guard id != nil || parts[2].isEmpty else { throw Self.wrong }
    guard parts[3] == Self.digest(question) else { throw Self.otherQuestion }
    seen = .through(id)
  }

  func text(question: String) -> String {
    let token = ConsistencyToken(store: store, revision: changes.revision).text
    switch seen {
    case .all: return changes.changes == 0 ? token : "\(token).\(changes.changes)"
    case .through(let id):
      return "\(token).\(changes.changes).\(id?.description ?? "").\(Self.digest(question))"
    }
  }

  /// FNV-1a: finds mistakes, not forgers.
  private static func digest(_ question: String) -> String {
    let digest = question.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01B3
    }
    return String(digest, radix: 16)
  }

  private static let wrong = TenancyError.invalid("resume_token", "not one that a watch gave out")
  private static let otherQuestion = TenancyError.invalid(
    "resume_token",
    "of within a snapshot of other tenants: filter and show_deleted must be the same")
}

extension WatchPlace.Seen {
  func covers(_ id: TenantID) -> Bool {
    switch self {
    case .all: true
    case .through(let last): last.map { id <= $0 } ?? false
    }
  }
}
