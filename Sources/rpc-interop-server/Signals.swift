@unsafe @preconcurrency import Dispatch
import Glibc

/// Signals, as something to wait for.
enum Signals {
  /// Yields as they arrive. What they do by default is switched off, for good.
  static func arrivals(_ numbers: [Int32]) -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    let sources = numbers.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler { continuation.yield() }
      source.resume()
      return source
    }
    // Sources live as long as the stream.
    continuation.onTermination = { _ in for source in sources { source.cancel() } }
    return stream
  }
}
