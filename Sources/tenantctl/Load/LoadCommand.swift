import ArgumentParser
import Dispatch
import Foundation
import TenancyClient
import TenancyRPC

struct LoadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load", abstract: "Calls the server as fast as asked, and measures it.",
    discussion: """
      With --rate, calls are sent when they are due, and their latency counts from then, so that a \
      server that stalls cannot hide the calls that it kept from being sent. With --concurrency \
      (by default 1), each caller waits for its answer. Tenants are named by --tenant, \
      --tenants-file or --tenant-count; without, the server's active tenants are used.

      Connecting is not measured. An interrupt (^C) ends the load early, and reports it. The exit \
      code is not 0 if more than 1 % of the calls failed. When none has succeeded after five \
      seconds, the load ends.
      """)

  @OptionGroup var load: LoadOptions

  @Option(
    help: ArgumentHelp(
      "Write the result in JSON; - for stdout, instead of the table.", valueName: "file"))
  var json: String?

  @Option(
    help: ArgumentHelp(
      "Write the latencies of successful calls, in ms, as HdrHistogram's percentile distribution.",
      valueName: "file"))
  var histogram: String?

  @Flag(inversion: .prefixedNo, help: "A line each second; by default, if stderr is a terminal.")
  var progress: Bool?

  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let plan = try LoadPlan(load)
    // Before the load, not after it.
    for file in [json, histogram].compactMap(\.self) where file != "-" { try Self.open(file) }
    let connection = try ConnectionPlan(server, environment: ProcessInfo.processInfo.environment)
    let spoken = plan.spoken.wireProtocol
    let tls = try connection.tls(speaking: spoken)
    let channels = (0..<plan.connections).map { _ in
      connection.channel(tls: tls, speaking: spoken)
    }
    let report: LoadReport
    do {
      report = try await measure(plan, connection, channels)
    } catch {
      await Self.close(channels)
      guard let status = error as? RPCStatus else { throw error }
      throw CallFailure(
        status: status, endpoint: connection.endpoint, timeout: connection.timeout)
    }
    await Self.close(channels)
    try show(report)
    if report.isFailure { throw ExitCode(report.exitCode) }
  }

  private static func close(_ channels: [RPCChannel]) async {
    for channel in channels { await channel.close() }
  }

  private func measure(
    _ plan: LoadPlan, _ connection: ConnectionPlan, _ channels: [RPCChannel]
  ) async throws -> LoadReport {
    let options = try connection.callOptions()
    var tenants = plan.tenants
    if tenants.isEmpty { tenants = try await LoadCalls.tenants(of: channels[0], options) }
    let calls = LoadCalls(plan, tenants: tenants, channels: channels, options: options)
    try await calls.connect()

    let run = LoadRun(plan.shape, mix: plan.mix) { try await calls.call($0, $1) }
    let interrupt = Interrupt { run.stop() }
    defer { interrupt.forget() }
    let showsProgress = progress ?? (isatty(STDERR_FILENO) == 1)
    let (outcome, tally) = await LoadProgress(run, methods: plan.mix.count)
      .follow { if showsProgress { FileHandle.standardError.write(Data(($0 + "\n").utf8)) } }
    return LoadReport(
      target: "\(connection.endpoint)", plan: plan, tally: tally, outcome: outcome)
  }

  private func show(_ report: LoadReport) throws {
    if let histogram {
      let text = report.tally.allLatencies.percentileText(unit: 1e6)
      try Self.write(text, to: histogram)
    }
    let text = report.json().text(pretty: true)
    switch json {
    case "-": print(text)
    case let file?:
      try Self.write(text + "\n", to: file)
      print(report.lines().joined(separator: "\n"))
    case nil: print(report.lines().joined(separator: "\n"))
    }
  }

  /// Leaves what is in it.
  private static func open(_ file: String) throws(UsageError) {
    guard let stream = unsafe fopen(file, "a") else {
      throw UsageError(unsafe "cannot write \(file): \(String(cString: strerror(errno)))")
    }
    unsafe fclose(stream)
  }

  private static func write(_ text: String, to file: String) throws(UsageError) {
    do {
      try Data(text.utf8).write(to: URL(filePath: file))
    } catch {
      throw UsageError("cannot write \(file): \(error.localizedDescription)")
    }
  }
}

/// Runs a load and says each second how it goes.
struct LoadProgress: Sendable {
  /// Seconds after which a load ends in which nothing has succeeded.
  static let hopeless = 5

  private let run: LoadRun
  private let methods: Int

  init(_ run: LoadRun, methods: Int) {
    self.run = run
    self.methods = methods
  }

  /// - Parameter show: takes one line.
  func follow(
    _ show: @escaping @Sendable (String) -> Void
  ) async -> (LoadRun.Outcome, LoadTally) {
    async let outcome = run.run()
    let watch = Task { [self] in
      var total = LoadTally(methods: methods)
      var second = 0
      // Ends when it is cancelled.
      while (try? await Task.sleep(for: .seconds(1))) != nil {
        second += 1
        let interval = run.recorder.take()
        if second == Self.hopeless, total.succeeded + interval.succeeded == 0,
          total.failed + interval.failed > 0
        {
          run.stop()
        }
        let isWarm = UInt64(second) * 1_000_000_000 > run.shape.warmup
        show(
          isWarm
            ? Self.line(second, interval, inFlight: run.inFlight)
            : "\(second) s: warming up, \(run.inFlight) in flight")
        total.merge(interval)
      }
      return total
    }
    let ended = await outcome
    watch.cancel()
    var total = await watch.value
    total.merge(run.recorder.take())
    return (ended, total)
  }

  static func line(_ second: Int, _ interval: LoadTally, inFlight: Int) -> String {
    let latencies = interval.allLatencies
    let failed = interval.failed > 0 ? ", \(interval.failed) failed" : ""
    return "\(second) s: \(interval.calls) calls\(failed), \(inFlight) in flight, "
      + "p50 \(LoadReport.milliseconds(latencies.value(atPercentile: 50))), "
      + "p99 \(LoadReport.milliseconds(latencies.value(atPercentile: 99))), "
      + "max \(LoadReport.milliseconds(latencies.maximum)) ms"
  }
}

/// Calls back at the first ^C; the second one ends the process as usual.
struct Interrupt {
  private let source: any DispatchSourceSignal

  init(_ callback: @escaping @Sendable () -> Void) {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    source.setEventHandler {
      signal(SIGINT, SIG_DFL)
      callback()
    }
    source.resume()
    self.source = source
  }

  func forget() {
    source.cancel()
    signal(SIGINT, SIG_DFL)
  }
}
