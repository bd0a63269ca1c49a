@unsafe @preconcurrency import Dispatch
import Glibc

/// Signals, as something to wait for.
enum Signals {
  /// The names of signals as they arrive.
  ///
  /// - Parameter names: by number. What the signals do by default is switched off, for good.
  static func arrivals(_ names: [Int32: String]) -> AsyncStream<String> {
    let (stream, continuation) = AsyncStream.makeStream(of: String.self)
    let sources = names.map { number, name in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler { continuation.yield(name) }
      source.resume()
      return source
    }
    // Sources live as long as the stream.
    continuation.onTermination = { _ in for source in sources { source.cancel() } }
    return stream
  }
}
