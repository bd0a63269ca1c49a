import ArgumentParser
import TenancyRPC

/// What a load speaks with the server.
enum LoadProtocol: String, ExpressibleByArgument, CaseIterable, Sendable {
  case grpc
  case ttrpc

  var wireProtocol: WireProtocol { self == .grpc ? .grpc : .ttrpc }
}

/// What the load is made of, as the command line says it.
struct LoadOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Open loop: calls a second, sent when they are due, whatever becomes of those before.",
      valueName: "calls/s"))
  var rate: Double?

  @Flag(help: "With --rate: random gaps, as independent callers make, not even ones.")
  var poisson = false

  @Option(
    help: ArgumentHelp(
      "With --rate: most calls in flight. Those that are due meanwhile are sent late.",
      valueName: "calls"))
  var maxOutstanding = 4_096

  @Option(
    help: ArgumentHelp(
      "Closed loop: so many callers, each of which waits for its answer before it calls again.",
      valueName: "callers"))
  var concurrency: Int?

  @Option(help: ArgumentHelp("Connections that share the calls.", valueName: "number"))
  var connections = 1

  @Option(name: .customLong("protocol"), help: "What to speak with the server.")
  var spoken = LoadProtocol.grpc

  @Option(
    parsing: .unconditional, help: ArgumentHelp("How long to measure.", valueName: "seconds"))
  var duration = 10.0

  @Option(help: ArgumentHelp("How long to call before measuring.", valueName: "seconds"))
  var warmup = 1.0

  @Option(
    help: ArgumentHelp(
      "resolve or check. May be repeated, with weights: resolve=9 check=1.",
      valueName: "name[=weight]"),
    transform: WeightedMethod.init(parsing:))
  var method: [WeightedMethod] = []

  @Option(
    help: ArgumentHelp("A tenant to call for. May be repeated.", valueName: "id or slug"))
  var tenant: [String] = []

  @Option(help: ArgumentHelp("A tenant on each line; - for stdin.", valueName: "file"))
  var tenantsFile: String?

  @Option(
    help: ArgumentHelp(
      "So many tenants, PREFIX00000, PREFIX00001, and so on (see --tenant-prefix).",
      valueName: "number"))
  var tenantCount: Int?

  @Option(help: ArgumentHelp("Of the slugs for --tenant-count.", valueName: "prefix"))
  var tenantPrefix = "tenant-"

  @Option(help: ArgumentHelp("Who is checked.", valueName: "subject"))
  var subject = "user:alice"

  @Option(help: ArgumentHelp("What is checked.", valueName: "resource:action"))
  var permission = "documents:read"
}

/// The options, checked.
struct LoadPlan: Sendable, Equatable {
  static let maximumRate = 10_000_000.0
  static let maximumSeconds = 7 * 24 * 3_600.0
  static let maximumConnections = 10_000
  static let maximumCallers = 100_000
  static let maximumTenants = 1_000_000

  let shape: LoadShape
  let spoken: LoadProtocol
  let connections: Int
  let methods: [LoadMethod]
  let mix: LoadMix
  /// Ids or slugs; empty: those that the server lists.
  let tenants: [String]
  let subject: String
  let permission: String

  init(_ options: LoadOptions) throws(UsageError) {
    shape = LoadShape(
      arrivals: try Self.arrivals(options),
      warmup: try Self.nanoseconds(options.warmup, "--warmup", from: 0),
      duration: try Self.nanoseconds(options.duration, "--duration", from: 0.001))
    spoken = options.spoken
    connections = try Self.check(
      options.connections, "--connections", 1...Self.maximumConnections)
    let weighted =
      options.method.isEmpty ? [try WeightedMethod(parsing: "resolve")] : options.method
    methods = weighted.map(\.method)
    guard Set(methods).count == methods.count else {
      throw UsageError("--method names the same method twice")
    }
    mix = LoadMix(weights: weighted.map(\.weight))
    tenants = try Self.tenants(options)
    subject = options.subject
    permission = options.permission
  }

  private static func arrivals(_ options: LoadOptions) throws(UsageError) -> LoadShape.Arrivals {
    switch (options.rate, options.concurrency) {
    case (let rate?, nil):
      guard rate > 0, rate <= maximumRate else {
        throw UsageError("--rate is more than 0 and at most \(Int(maximumRate))")
      }
      let most = try check(options.maxOutstanding, "--max-outstanding", 1...maximumCallers)
      return .open(rate: rate, isPoisson: options.poisson, maximumOutstanding: most)
    case (nil, let callers):
      guard !options.poisson else { throw UsageError("--poisson needs --rate") }
      return .closed(callers: try check(callers ?? 1, "--concurrency", 1...maximumCallers))
    case (_?, _?):
      throw UsageError("give either --rate or --concurrency")
    }
  }

  private static func nanoseconds(
    _ seconds: Double, _ option: String, from least: Double
  ) throws(UsageError) -> UInt64 {
    guard seconds >= least, seconds <= maximumSeconds else {
      throw UsageError("\(option) is from \(least) to \(Int(maximumSeconds)) seconds")
    }
    return UInt64(seconds * 1e9)
  }

  private static func check(
    _ value: Int, _ option: String, _ range: ClosedRange<Int>
  ) throws(UsageError) -> Int {
    guard range.contains(value) else {
      throw UsageError("\(option) is from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  private static func tenants(_ options: LoadOptions) throws(UsageError) -> [String] {
    var names = options.tenant
    if let file = options.tenantsFile {
      let lines = try InputFile.text(file).split(whereSeparator: \.isNewline)
      names += lines.filter { !$0.hasPrefix("#") }.map { $0.trimmed }.filter { !$0.isEmpty }
      if names.isEmpty { throw UsageError("there are no tenants in \(file)") }
    }
    if let count = options.tenantCount {
      let count = try check(count, "--tenant-count", 1...maximumTenants)
      names += (0..<count).map { number in
        let digits = String(number)
        return options.tenantPrefix + String(repeating: "0", count: max(0, 5 - digits.count))
          + digits
      }
    }
    guard names.count <= maximumTenants else {
      throw UsageError("there are more than \(maximumTenants) tenants")
    }
    // `tenants/acme` means the same as `acme` everywhere else too.
    return try names.map { name throws(UsageError) in
      String(try ResourceName.tenant(name).dropFirst("tenants/".count))
    }
  }
}

extension Substring {
  fileprivate var trimmed: String {
    var text = self
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
