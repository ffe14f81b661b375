using System.Runtime.CompilerServices;
using System.Text;
using Sendoff.Commands.Hostile;

namespace Sendoff.Tests.Deliveries;

public sealed class HostileReceiverTests(HostileDeliveries deliveries) : IClassFixture<HostileDeliveries>
{
    public static TheoryData<string> Names => [.. HostileBehaviours.All.Select(behaviour => behaviour.Name)];

    static HostileBehaviour Named(string name) => HostileBehaviours.All.Single(behaviour => behaviour.Name == name);

    [Theory]
    [MemberData(nameof(Names))]
    public void Whatever_a_receiver_does_is_reported_as_what_it_is(string name)
    {
        var met = deliveries[Named(name)];
        Assert.True(
            Named(name).Reports == met.Report,
            $"expected {Named(name).Reports}\nbut was  {met.Report}\n{met.Attempt.Error?.Message}"
        );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Whatever_a_receiver_does_it_gets_no_second_request(string name)
    {
        // Where no session or no connection came about it gets none at all.
        Assert.InRange(deliveries[Named(name)].Requests, 0, 1);
        if (Named(name) is { Listener: null, Host: null })
            Assert.Equal(1, deliveries[Named(name)].Requests);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Whatever_a_receiver_does_the_deadline_holds(string name)
    {
        var attempt = deliveries[Named(name)].Attempt;
        // Not before the deadline; the attempt ended, or there were no outcome of it.
        if (Named(name).Reports.Code != AttemptErrorCode.Timeout)
            return;
        Assert.Equal(AttemptErrorCode.Timeout, attempt.Error!.Code);
        Assert.True(
            attempt.Timing.TotalMs >= HostileDeliveries.Short.DeliveryDeadline.TotalMilliseconds * 0.9,
            $"{attempt.Timing.TotalMs} ms"
        );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Whatever_a_receiver_does_the_phases_add_up(string name)
    {
        var timing = deliveries[Named(name)].Attempt.Timing;
        double?[] phases = [timing.DnsMs, timing.ConnectMs, timing.TlsMs, timing.WriteMs, timing.WaitMs, timing.ReadMs];
        Assert.All(phases, phase => Assert.True(phase is null or >= 0));
        Assert.Equal(timing.TotalMs, phases.Sum(phase => phase ?? 0), 0.1);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_connection_that_must_not_be_used_again_is_closed(string name)
    {
        var behaviour = Named(name);
        if (!behaviour.IsDeaf)
            Assert.Equal(!behaviour.Reports.KeepsConnection, deliveries[behaviour].EndedAtReceiver);
    }

    [Theory]
    [InlineData("silence", "^timed out after 3,000 ms while waiting for the response$")]
    [InlineData("stalled-headers", @"^timed out after 3,000 ms while reading the response headers \(21 bytes received\)$")]
    [InlineData("stalled-body", @"^timed out after 3,000 ms while reading the response body \(10 bytes received\)$")]
    [InlineData("unread-upload", @"^timed out after 3,000 ms while writing the request \([\d,]+ of 20,000,\d+ bytes written\)$")]
    [InlineData("slow-dns", "^timed out after 3,000 ms while resolving slow.invalid$")]
    [InlineData("tls-stalled", "^timed out after 3,000 ms while making a TLS session with 127.0.0.1$")]
    [InlineData("tls-wrong-host", "wrong host: the certificate is for other.invalid, not for 127.0.0.1$")]
    [InlineData("kept-close", "^the receiver closed the connection before it responded on a kept-alive connection$")]
    [InlineData(
        "length-too-large",
        @"^the receiver closed the connection before the response body was complete \(5 of 100 bytes received\)$"
    )]
    public void Messages_say_what_was_being_done(string name, string message) =>
        Assert.Matches(message, deliveries[Named(name)].Attempt.Error!.Message);

    [Theory]
    [InlineData("stalled-body", "0123456789")]
    [InlineData("truncated-chunks", "hel")]
    [InlineData("length-too-small", "hello")]
    [InlineData("early-413", "too large")]
    [InlineData("false-gzip", "hello")]
    [InlineData("utf-16", "café")]
    [InlineData("forbidden-charset", "+AOk-")]
    public void What_came_of_the_body_is_kept(string name, string body) =>
        Assert.Equal(body, Encoding.UTF8.GetString(deliveries[Named(name)].Attempt.Response!.Body.Span));

    [Fact]
    public void A_body_that_is_cut_fills_what_is_kept_but_for_a_split_character()
    {
        foreach (var behaviour in HostileBehaviours.All.Where(behaviour => behaviour.Reports.Truncated))
            Assert.InRange(deliveries[behaviour].Attempt.Response!.Body.Length, 64 * 1024 - 3, 64 * 1024);
    }

    [Fact]
    public void The_documentation_lists_what_was_met()
    {
        string path = DocumentPath(),
            table = Document();
        if (Environment.GetEnvironmentVariable("SENDOFF_WRITE_DOCS") == "1")
            File.WriteAllText(path, table);
        Assert.True(
            File.Exists(path) && File.ReadAllText(path) == table,
            "docs/hostile-receivers.md is not what this run has met: run this test with SENDOFF_WRITE_DOCS=1 to write it"
        );
    }

    static string DocumentPath([CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "../../../docs/hostile-receivers.md");

    string Document()
    {
        var text = new StringBuilder(
            """
            # Hostile receivers

            How Sendoff reports receivers that misbehave. A test sends one request to each receiver and writes
            these tables from the recorded deliveries. No receiver gets a second request.

            To try them, run `sendoff receive --hostile`. It listens on loopback, on `--port` (default 9099) and
            on the ports after it for behaviour that starts before a path is known. It prints all URLs, and each
            request that arrives. Send to them from a workflow of a server started with `--development`, or with
            `sendoff run --allow 127.0.0.0/8`. Each start creates a new certificate authority.
            `--authority FILE` writes its certificate; set `SSL_CERT_FILE=FILE` in Sendoff's environment to
            trust it. `slow-dns` needs a resolver that does not respond, so only the tests include it.

            Times are for the default deadline. "Body truncated" is `truncated: true`: Sendoff reads at most
            10 MiB of a body and keeps 64 KiB.

            """.ReplaceLineEndings("\n")
        );
        foreach (var group in HostileBehaviours.Groups)
        {
            text.Append($"\n## {group.Title}\n| path | the receiver | Sendoff reports | connection | duration |\n|---|---|---|---|---|\n");
            foreach (var behaviour in group.Behaviours)
            {
                var report = deliveries[behaviour].Report;
                text.Append(
                    $"| `{behaviour.Name}` | {behaviour.Does} | {report.Words} | {(report.KeepsConnection ? "kept" : "closed")} | "
                        + $"{report.Takes} |\n"
                );
            }
        }
        return text.ToString();
    }
}
