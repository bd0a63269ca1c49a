import Dispatch
import Glibc

/// SIGTERM and SIGINT, as something to wait for.
struct StopSignals {
  /// Their names, as they arrive.
  let arrivals: AsyncStream<String>
  private let sources: [any DispatchSourceSignal]

  init() {
    let (stream, continuation) = AsyncStream.makeStream(of: String.self)
    arrivals = stream
    sources = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")].map { number, name in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler { continuation.yield(name) }
      source.resume()
      return source
    }
  }
}
