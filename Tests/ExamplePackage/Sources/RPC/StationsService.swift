import Synchronization
public import TenancyRPC
import Weather

/// `weather.v1.Stations`, with readings that are kept in memory.
public final class StationsService: Sendable {
  private typealias Spec = WeatherV1.Stations

  /// By station, the oldest first.
  private let readings = Mutex<[String: [WeatherV1.Reading]]>([:])

  public init() {}

  public var methods: [ServiceMethod<Embedder>] {
    [
      // In memory, at once: on the event loop.
      .inline(Spec.getReading) { [self] (_, request) throws(RPCStatus) in
        guard let last = last(of: request.station) else {
          throw RPCStatus(.notFound, "no reading of \(request.station)")
        }
        return last
      },
      .serverStreaming(Spec.listReadings) { [self] _, request, responses in
        for reading in all(of: request.station) { try await responses.send(reading) }
      },
      .clientStreaming(Spec.recordReadings) { [self] _, requests in
        var response = WeatherV1.RecordReadingsResponse()
        for try await reading in requests {
          record(reading)
          response.recorded += 1
          if !response.stations.contains(reading.station) {
            response.stations.append(reading.station)
          }
        }
        return response
      },
      .bidirectional(Spec.compareReadings) { [self] _, requests, responses in
        for try await reading in requests { try await responses.send(compare(reading)) }
      },
    ]
  }

  private func last(of station: String) -> WeatherV1.Reading? { all(of: station).last }

  private func all(of station: String) -> [WeatherV1.Reading] {
    readings.withLock { $0[station] ?? [] }
  }

  private func record(_ reading: WeatherV1.Reading) {
    readings.withLock { $0[reading.station, default: []].append(reading) }
  }

  private func compare(_ reading: WeatherV1.Reading) -> WeatherV1.Difference {
    let before = last(of: reading.station)
    return WeatherV1.Difference(
      station: reading.station,
      outcome: before.map { .warmer(reading.temperature - $0.temperature) } ?? .first(true))
  }
}
