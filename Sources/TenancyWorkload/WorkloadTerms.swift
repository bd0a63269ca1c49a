/// What a node's Workload API gives, and how much.
public struct WorkloadTerms: Sendable {
  /// Seconds that may be the longest life of a certificate.
  public static let lives: ClosedRange<Int> = 60...86_400
  /// Streams of one user that may be allowed.
  public static let streamLimits: ClosedRange<Int> = 1...4_096

  /// The longest life of a certificate, whatever its entry says.
  public var maximumLife = 86_400
  /// What entries call this node; nil: those that name one are not for it.
  public var node: String?
  /// Streams and calls of one user under way.
  public var streamsPerUser = 256

  /// As usual.
  public init() {}

  // MARK: What nobody needs to configure

  /// Streams and calls under way, of all users.
  var streams = 2_048
  /// Identities of one process. Those of the least ids are given.
  var identities = 64
  /// Certificates that are signed for one user, at once and for each second after that.
  var signatures = (burst: 128, perSecond: 16)
  /// Calls of one user that are looked at, at once and for each second after that.
  var calls = (burst: 256, perSecond: 64)
  /// How long finding out what a process is may take, its turn included. After it: UNAVAILABLE.
  var attestationTimeout = Duration.seconds(5)
  /// How often a process is looked at while its stream goes on: it may have become another program.
  var attestationInterval = Duration.seconds(30)
  /// The age of a process, where the kernel does not prove which one has opened a connection.
  var provenAge = Duration.milliseconds(250)
}
