import Glibc
import PKI
import RPC
import TenancyRPC
import Weather

/// Serves `weather.v1.Stations` on a Unix socket, calls each of its methods, and serves others until its input ends:
///
///     weather-station SOCKET
@main
struct WeatherStation {
  static func main() async throws {
    guard CommandLine.arguments.count == 2 else { fatalError("usage: weather-station SOCKET") }
    let path = CommandLine.arguments[1]
    let server = try await Server(
      Server.Configuration(listeners: [.unix(path: path, mode: 0o600)]),
      methods: StationsService().methods, delegate: Embedder())
    _ = try await server.start()

    let channel = RPCChannel(.unix(path: path))
    try await call(WeatherV1.StationsClient(channel))
    await channel.close()

    print("serving")
    fflush(nil)  // Whoever waits for it may read from a pipe.
    while readLine() != nil {}
    await server.stop(within: .seconds(2))
  }

  private static func call(_ stations: WeatherV1.StationsClient) async throws {
    let readings = [
      WeatherV1.Reading(
        station: "zugspitze", time: .init(seconds: 1_700_000_000), temperature: -4.5, sky: .clear),
      WeatherV1.Reading(
        station: "brocken", temperature: 3, sky: .clouded, rain: 0.5, labels: ["sensor": "b7"]),
      WeatherV1.Reading(station: "zugspitze", temperature: -2, sky: .clear),
    ]
    let recorded = try await stations.recordReadings { writer in
      for reading in readings { try await writer.send(reading) }
    }
    print("recorded \(recorded.recorded) of \(recorded.stations.joined(separator: " "))")

    let last = try await stations.getReading(.init(station: "brocken"))
    print("brocken: \(last.temperature) degrees, \(last.rain ?? 0) mm, sensor \(last.labels)")

    try await stations.listReadings(.init(station: "zugspitze")) { listed in
      for try await reading in listed {
        print("zugspitze: \(reading.temperature) at \(reading.time?.seconds ?? 0)")
      }
    }

    try await stations.compareReadings { writer, differences in
      for station in ["zugspitze", "feldberg"] {
        try await writer.send(WeatherV1.Reading(station: station, temperature: 1))
        guard let difference = try await differences.next() else { break }
        switch difference.outcome {
        case .warmer(let degrees): print("\(station): warmer by \(degrees)")
        case .first, nil: print("\(station): the first")
        }
      }
      writer.finish()
      while let rest = try await differences.next() { print(rest) }
    }

    do {
      _ = try await stations.getReading(.init(station: "feldberg"))
    } catch let status as RPCStatus {
      print("refused: \(status.message), \(fingerprint(status.message).prefix(8))")
    }
  }
}
