using Sendoff.Engine.Secrets;

namespace Sendoff.Engine.Storage;

/// <summary>Masks credentials and secrets in records (C8). Records without any are returned unchanged.</summary>
public static class MaskedRecords
{
    /// <summary>If anything in the event is masked, its raw body is omitted; the original has it.</summary>
    public static Event Masked(this Event e, SecretMask mask)
    {
        if (e.Credentials.Count > 0)
            mask = mask.With(e.Credentials);
        var json = mask.Json(Credentials.Cover(e.Json), "{}"u8);
        return json.Equals(e.Json) && !mask.Finds(e.Raw.Span) ? e : e with { Json = json, Raw = default };
    }

    /// <summary>The mask of a run: the workspace's secrets, the credentials of its event, and those of its sends.</summary>
    public static SecretMask MaskOf(Run run, IReadOnlyList<Delivery> deliveries, SecretMask workspace)
    {
        List<string>? credentials = run.Credentials.Count > 0 ? [.. run.Credentials] : null;
        foreach (var delivery in deliveries)
            Collect(delivery.Request.Headers, ref credentials);
        return credentials is null ? workspace : workspace.With(credentials);
    }

    /// <param name="withSteps">False if the steps have nothing to mask.</param>
    public static Run Masked(this Run run, SecretMask mask, bool withSteps = true)
    {
        var error = run.Error?.Masked(mask);
        string? message = run.Message is null ? null : mask.Text(run.Message);
        if (!withSteps && ReferenceEquals(error, run.Error) && ReferenceEquals(message, run.Message) && run.Response is null)
            return run;
        return run with
        {
            Steps = withSteps ? [.. run.Steps.Select(step => step.Masked(mask))] : run.Steps,
            Error = error,
            Message = message,
            Response = run.Response is not { } response
                ? null
                : response with
                {
                    Headers = Masked(response.Headers, mask),
                    Body = mask.Bytes(response.Body),
                },
        };
    }

    static StepResult Masked(this StepResult step, SecretMask mask) =>
        step with
        {
            Exports = mask.Json(step.Exports, "{}"u8),
            Inputs = mask.Json(step.Inputs, "{}"u8),
            Logs = [.. step.Logs.Select(line => line with { Text = mask.Text(line.Text) })],
            Warnings = [.. step.Warnings.Select(warning => warning with { Message = mask.Text(warning.Message) })],
            Error = step.Error?.Masked(mask),
        };

    static StepError Masked(this StepError error, SecretMask mask)
    {
        var masked = error with
        {
            Name = mask.Text(error.Name),
            Message = mask.Text(error.Message),
            Code = error.Code is null ? null : mask.Text(error.Code),
            Stack = error.Stack is null ? null : mask.Text(error.Stack),
        };
        return masked.Equals(error) ? error : masked;
    }

    // Its destination was masked when it was created, because queues use it before and after a restart.
    public static Delivery Masked(this Delivery delivery, SecretMask mask)
    {
        var request = delivery.Request.Masked(mask);
        var error = delivery.Error?.Masked(mask);
        return ReferenceEquals(request, delivery.Request) && ReferenceEquals(error, delivery.Error)
            ? delivery
            : delivery with
            {
                Request = request,
                Error = error,
            };
    }

    static HttpSend Masked(this HttpSend send, SecretMask mask)
    {
        string method = mask.Name(send.Method),
            url = mask.Url(send.Url);
        var headers = Masked(send.Headers, mask);
        var body = mask.Bytes(send.Body);
        bool isSame =
            ReferenceEquals(method, send.Method)
            && ReferenceEquals(url, send.Url)
            && ReferenceEquals(headers, send.Headers)
            && body.Equals(send.Body);
        return isSame ? send : new(method, url, headers, body);
    }

    public static Attempt Masked(this Attempt attempt, SecretMask workspace)
    {
        List<string>? own = attempt.Credentials.Count > 0 ? [.. attempt.Credentials] : null;
        Collect(attempt.RequestHeaders, ref own);
        // A receiver that repeats the credentials must not put them into the record.
        var mask = own is null ? workspace : workspace.With(own);
        return attempt with
        {
            RequestHeaders = Masked(attempt.RequestHeaders, mask),
            Response = attempt.Response?.Masked(mask, attempt.Error is not null),
            Error = attempt.Error?.Masked(mask),
            Redirects =
                attempt.Redirects.Count == 0
                    ? attempt.Redirects
                    :
                    [
                        .. attempt.Redirects.Select(hop =>
                            hop with
                            {
                                Method = mask.Name(hop.Method),
                                Url = mask.Url(hop.Url),
                                Location = mask.Url(hop.Location),
                            }
                        ),
                    ],
        };
    }

    static AttemptResponse Masked(this AttemptResponse response, SecretMask mask, bool isPartial) =>
        response with
        {
            Headers = Masked(response.Headers, mask),
            Body = mask.Bytes(response.Body, isPartial || response.Truncated),
        };

    public static AttemptError Masked(this AttemptError error, SecretMask mask) =>
        mask.Message(error.Message) is var message && ReferenceEquals(message, error.Message) ? error : error with { Message = message };

    /// <summary>Returns the same list if there is nothing to mask.</summary>
    static IReadOnlyList<Header> Masked(IReadOnlyList<Header> lines, SecretMask mask)
    {
        Header[]? masked = null;
        for (int i = 0; i < lines.Count; i++)
        {
            var (name, value) = lines[i];
            var line = new Header(mask.Name(name), Credentials.IsCredential(name) ? SecretMask.Cover : mask.Text(value));
            if (!ReferenceEquals(line.Name, name) || !ReferenceEquals(line.Value, value))
                (masked ??= [.. lines])[i] = line;
        }
        return masked ?? lines;
    }

    static void Collect(IReadOnlyList<Header> lines, ref List<string>? into)
    {
        foreach (var line in lines)
            if (Credentials.IsCredential(line.Name))
                Credentials.Collect(line.Name, line.Value, into ??= []);
    }
}
