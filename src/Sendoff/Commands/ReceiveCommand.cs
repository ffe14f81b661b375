using System.CommandLine;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Sendoff.Commands.Hostile;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary><c>sendoff receive</c>: a receiver for tests, which prints each request when it arrives.</summary>
static class ReceiveCommand
{
    const int MaxPrintedBytes = 64 * 1024;

    public static Command Build()
    {
        var port = new Option<int>("--port") { Description = "Port on loopback", DefaultValueFactory = _ => 9099 };
        var status = new Option<int>("--status") { Description = "Status of the response", DefaultValueFactory = _ => 200 };
        var body = new Option<string>("--body") { Description = "Body of the response", DefaultValueFactory = _ => "{\"received\":true}" };
        var count = new Option<int?>("--count") { Description = "Exit after this many requests" };
        var hostile = new Option<bool>("--hostile")
        {
            Description = "Misbehave instead: one path for each misbehaviour. The URLs are printed at the start",
        };
        var authority = new Option<string?>("--authority")
        {
            Description = "With --hostile: write the certificate of the receiver's authority to this file, for SSL_CERT_FILE",
        };
        var command = new Command("receive", "Receive requests on loopback and print them")
        {
            port,
            status,
            body,
            count,
            hostile,
            authority,
        };
        command.SetAction(
            (parsed, ct) =>
            {
                int most = parsed.GetValue(count) ?? int.MaxValue;
                // Port 0 lets the hostile receiver choose free ports.
                if (parsed.GetValue(port) < (parsed.GetValue(hostile) ? 0 : 1) || parsed.GetValue(port) > 65_535)
                    throw new CommandException($"--port {parsed.GetValue(port)}: expected a port from 1 to 65535", ExitCode.Usage);
                if (parsed.GetValue(status) is < 200 or > 599)
                    throw new CommandException($"--status {parsed.GetValue(status)}: expected a status from 200 to 599", ExitCode.Usage);
                if (most < 1)
                    throw new CommandException($"--count {most}: expected a number, at least 1", ExitCode.Usage);
                return parsed.GetValue(hostile)
                    ? HostileCommand.RunAsync(parsed.GetValue(port), parsed.GetValue(authority), most, ct)
                    : ReceiveAsync(parsed.GetValue(port), parsed.GetValue(status), parsed.GetValue(body)!, most, ct);
            }
        );
        return command;
    }

    static async Task<int> ReceiveAsync(int port, int status, string answer, int count, CancellationToken ct)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.LeaveSignalsToCommand();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ListenLocalhost(port);
        });
        await using var app = builder.Build();
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using var printing = new SemaphoreSlim(1);
        int seen = 0;
        app.Run(async context =>
        {
            byte[] received = await ReadBodyAsync(context.Request, context.RequestAborted);
            await printing.WaitAsync(CancellationToken.None);
            Print(context.Request, received, ++seen);
            printing.Release();
            context.Response.StatusCode = status;
            context.Response.ContentType = answer.StartsWith('{') ? "application/json" : "text/plain; charset=utf-8";
            if (status is not (204 or 205 or 304))
                await context.Response.WriteAsync(answer, context.RequestAborted);
            if (seen >= count)
                enough.CancelAfter(TimeSpan.FromMilliseconds(50));
        });
        await ServerStart.RunAsync(
            app,
            $"http://127.0.0.1:{port}",
            () => Output.Progress.MarkupLineInterpolated($"Receiving on [bold]http://127.0.0.1:{port}/[/]; press Ctrl+C to stop"),
            enough.Token
        );
        return ExitCode.Ok;
    }

    static async Task<byte[]> ReadBodyAsync(HttpRequest request, CancellationToken ct)
    {
        request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        using var buffer = new MemoryStream();
        byte[] chunk = new byte[16 * 1024];
        while (await request.Body.ReadAsync(chunk, ct) is > 0 and var read)
        {
            if (buffer.Length < MaxPrintedBytes)
                buffer.Write(chunk, 0, read);
        }
        return buffer.ToArray();
    }

    static void Print(HttpRequest request, byte[] body, int number)
    {
        var time = TimeProvider.System.GetLocalNow().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);
        Output.Console.MarkupLineInterpolated($"[grey]{time}  #{number}[/]  [bold]{request.Method} {request.Path}{request.QueryString}[/]");
        foreach (var (name, values) in request.Headers)
        {
            foreach (string? value in values)
                Output.Console.MarkupLineInterpolated($"  [grey]{name}:[/] {value}");
        }
        if (body.Length > 0)
            Output.Console.WriteLine("  " + Text(body).ReplaceLineEndings("\n  "));
        Output.Console.WriteLine();
    }

    static string Text(byte[] body)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(body);
        }
        catch (DecoderFallbackException)
        {
            return $"({body.Length:N0} bytes, not text)";
        }
    }
}
