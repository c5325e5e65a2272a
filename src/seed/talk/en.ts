import type { Script } from '../script.js';

const done =
  '{finished the retry logic for uploads|reviewed two pull requests and merged the pagination fix|paired with {A} on the flaky integration tests|cleaned up the old feature flags|wrote the migration for the audit table|got the staging cluster onto the new image|traced the slow query on the orders page, it was a missing index|answered questions from support about exports|upgraded the message broker in staging|drafted the API docs for webhooks|moved the avatar images to object storage|fixed the time zone bug in the weekly report}';
const todo =
  '{rolling it out to ten percent|load test with 2,000 connections|finishing the error pages|writing tests for the edge cases we found|the invoice export|starting on the notification settings|clearing my review queue|the accessibility audit of the login page|a spike on full-text search|pairing on the deploy script|interviews in the morning, then bug fixing|the backup restore drill}';
const blocker =
  '{No blockers.|No blockers.|Nothing blocking me.|Blocked on the design for the empty state.|Waiting for credentials from the payment provider.|I need a review on my PR before noon, please.|The CI runners are slow again, builds take 20 minutes.}';

export const english: readonly Script[] = [
  // ── the launch of Lumen, told once ──
  {
    about: 'launch',
    cast: ['anna', 'james', 'emily', 'noah', 'mateo', 'priya', 'wei'],
    lines: `
A: Welcome everyone! This group is for everything about the Lumen 2.0 launch: decisions, dates, blockers. Long debates please in Engineering, the result in here. 🚀
B: 🎉 Engineering is on board. Scope is frozen except for the importer.
C: Design too. The new onboarding screens are done apart from the illustrations.
E: Sales is very much on board. Two customers in Madrid ask me every week.
A: First question to all of us: which launch date do we commit to? I see two candidates, {date+9} and a week after it.
~ 2h
B: From engineering: the earlier date only works if the importer slips to 2.1.
D: Ops needs three working days of load tests after the code freeze. So freeze a week before, whichever we take.
F: Mobile review in the app store takes two to four days. The earlier date leaves no room for a rejection.
E: Customers won't mind one week. They would mind a broken launch.
A: Thanks, that is clear. *Decision:* we take the later date, the importer stays in scope, code freeze five working days before. I'll put it on the roadmap today.
G: 👍 I'll plan the load tests for the two days after the freeze.
D: 👍
`,
  },
  {
    about: 'launch',
    cast: ['anna', 'james', 'noah', 'priya', 'wei', 'emily'],
    lines: `
E: Load test results: 5,000 concurrent connections are fine, p95 at 180 ms. At 8,000 the database pool is the bottleneck.
B: What do we expect on launch day?
A: Marketing estimates 3,000 at the peak, sales hopes for more. 😄
C: Then we are good, but I would raise the pool from 10 to 20 and add one node anyway. It costs us about 90 euros a month.
A: Do it. Who takes it?
C: Me, by {day+2}. I'll repeat the test afterwards and post the numbers here.
~ 2d
C: Repeated with a pool of 20 and three nodes: 8,000 connections at p95 210 ms, no errors. Checked the box on the list. ✅
B: Beautiful. Thank you both.
D: Small thing from mobile: at reconnect we fetch everything again. With 8,000 phones behind one flaky tunnel that hurts. Fix is in review.
E: Good catch. I'll review it this afternoon.
`,
  },
  {
    about: 'launch',
    cast: ['anna', 'mateo', 'beatriz', 'zeynep', 'james', 'chloe'],
    lines: `
A: Pricing: we have to decide before the page goes to translation. Options are (1) keep three plans, (2) two plans plus "talk to us". Opinions?
B: Two plans. Nobody in my calls understands the difference between Pro and Business.
C: Two plans is a far better page too. People scroll past the third column anyway.
D: From the numbers: Business is 9% of customers but 31% of revenue. If we drop it, they must land in a custom offer and not in Pro.
B: They will. I talk to every one of them anyway.
E: No strong feelings, but please no per-message pricing. We could not even measure it reliably.
F: Translation needs the final text by {date+3} for all eight languages.
~ 4h
A: *Decision:* two plans plus a custom offer. Existing Business customers keep their price for twelve months. Zeynep writes the migration rules, Mateo calls the top twenty customers, Beatriz has the page text by {date+2}.
D: Rules will be in the shared folder tomorrow.
B: I start calling on {day+1}. 📞
C: Text is on its way. Chloé, I'll send it to you section by section so that you can start.
F: Perfect, merci!
`,
  },
  {
    about: 'launch',
    cast: ['anna', 'james', 'noah', 'emily', 'sarah', 'mateo', 'yuki'],
    lines: `
A: Launch checklist, status of today:⏎⏎✅ Load test at 8,000 connections⏎✅ Pricing page in eight languages⏎✅ Status page and incident templates⏎🔶 Importer: two open bugs (James)⏎🔶 Help centre: 14 of 20 articles (Sarah)⏎🔶 Press kit: logo in dark missing (Emily)⏎❌ Terms of service: legal review not back⏎⏎Please correct me if something is out of date.
E: Help centre is at 17 now. The last three need screenshots of the new settings, which I can make as soon as they are on staging.
B: They are on staging since this morning. Importer: one bug is fixed, the other one is about files over 2 GB. I'd say we document the limit.
A: Agreed, a documented limit is fine for launch. Sarah, can you add a sentence to the article?
E: Sure, done within the hour.
D: Dark logo is uploaded, plus a vertical version because Yuki asked for it.
G: Thank you! It looks great on the slides. 🙏
F: And legal? My customers' lawyers read the terms before anything else.
A: I'll call them this afternoon and escalate if there is no date.
~ 3h
A: Legal promised the terms by {date+1}, noon. If that slips I move the announcement, not the release.
C: On-call for launch weekend: me Friday night and Saturday, Wei on Sunday. Please no deploys after Friday 16:00. 🙏
B: Confirmed. Deploys are locked from Friday 16:00 until Monday 9:00.
`,
  },
  {
    about: 'launch',
    cast: ['anna', 'james', 'noah', 'sarah', 'mateo', 'priya', 'beatriz'],
    lines: `
C: Release is on all nodes. Error rate 0.02%, latency as before. 🟢
A: And we are live! 🚀🚀🚀 Thank you all, this was the calmest launch I have ever seen.
E: First signup from Sevilla after four minutes. 💃
G: The post is out on all channels. Comments so far are kind, one asks for dark mode in the mails.
D: Support queue: 12 tickets, 9 of them "how do I import". Article helps, they close themselves.
F: App store versions are out in all regions as well. 4.9 stars from eleven people, most of them related to us. 😅
~ 5h
C: Numbers of the day so far: 2,140 concurrent at the peak, 611 signups, zero pages. I am going to sleep.
B: Sleep well, you earned it. Retro on {day+3} at 14:00, I sent the invite.
A: Summary for the record: launched on time, no incident, 611 signups on day one, two known issues (import over 2 GB, delayed mails to one provider). Next review of the numbers on {date+5}.
`,
  },
  // ── everyone ──
  {
    about: 'company',
    cast: ['james', 'anna', 'mateo', 'chloe', 'beatriz', 'elif', 'dmitri', 'omar', 'priya', 'yuki', 'wei', 'grace'],
    lines: `
A: New place, new thread: say hello and tell us where you are and one thing you like. I start: London, and I like crosswords with terrible puns.
B: Hallo zusammen! Berlin, and I like cycling along the canal before anyone else is awake. 🚲
C: ¡Hola a todos! Madrid. Me gusta cocinar para mucha gente, así que venid a cenar.
D: Bonjour tout le monde ! Lyon, and the best time of the day is the first coffee on the balcony. ☕
E: Olá! Lisboa. Surf, mesmo quando a água está gelada. 🌊
F: Merhaba! İstanbul'dan selamlar, iki kedim ve bir vapurum var (vapur benim değil ama öyle hissediyorum). 🐈
G: Всем привет! Петербург. Люблю белые ночи и хорошие индексы. 🙂
H: مرحباً بالجميع! أنا من عمّان وأحب القهوة بالهيل والمشي في وسط البلد. ☕
I: नमस्ते सबको! बेंगलुरु से, और मुझे बारिश में चाय और पकौड़े सबसे ज़्यादा पसंद हैं। 🌧️
J: はじめまして、東京の佐藤です。週末は山を歩くのが好きです。よろしくお願いします！
K: 大家好！我在上海，喜欢半夜的小馄饨。🥟
L: Hi from Austin! Live music, any kind, any night. 🎸
A: This is wonderful. I understood about half of it and smiled at all of it. 😄
`,
  },
  {
    about: 'company',
    times: 4,
    lines: `
A: Reminder: {what} {when}. {Please plan around it.|Please keep it in mind.}
B: Does that affect {who}?
A: {answer}
C: Thanks for the heads-up 👍
`,
    variants: [
      {
        what: 'the office in Berlin is closed',
        when: 'on {date+4} because of the electrical works',
        who: 'the parcel deliveries too',
        answer: 'Yes, parcels go to the bakery next door that day. They know about it.',
      },
      {
        what: 'the all-hands moves',
        when: 'to {day+2} at 15:00 UTC, so that Toronto and Austin need not get up at night',
        who: 'the recording',
        answer: 'Recording and notes will be in the shared folder by the evening as always.',
      },
      {
        what: 'VPN maintenance',
        when: 'is tonight between 22:00 and 23:00 UTC',
        who: 'people in Asia who start early',
        answer: 'It may: Tokyo and Shanghai might be disconnected once for a minute. Save your work.',
      },
      {
        what: 'expense reports are due',
        when: 'on {date+5}, earlier than usual because of the audit',
        who: 'travel booked through the agency',
        answer: 'No, agency bookings come in by themselves. Only what you paid yourselves.',
      },
    ],
  },
  {
    about: 'company',
    times: 3,
    lines: `
A: Please welcome {newcomer}, who joins us today as {job}! 👋
B: Welcome! 🎉
C: Welcome aboard! Which city are you in?
A: {city}. First week is onboarding with {D}, after that you will meet everyone in short calls.
D: Looking forward to it. Lunch on {day+1} is on me (or on the company, we'll see 😄).
E?: Welcome! If you get lost in the wiki: everyone does, just ask.
`,
    variants: [
      { newcomer: 'Marta', job: 'our first technical writer', city: 'Kraków' },
      { newcomer: 'Kenji', job: 'a data engineer', city: 'Osaka' },
      { newcomer: 'Amara', job: 'head of partnerships', city: 'Accra' },
    ],
  },
  {
    about: 'company',
    lines: `
A: The results of the team survey are in: 34 of 37 answered. Short version: people are happy with the teams and the flexible hours, unhappy with the number of meetings and with how decisions are documented.
B: The second one hurts because it is true. Half of our decisions live in somebody's head.
C: Could we simply end every decision thread with one line that starts with "Decision:"? Then one can search for it.
D: I like that. No new tool, no new process.
A: Let's try it until the end of the quarter. And for meetings: no recurring ones on {day+2}, beginning next week. Objections?
B: None from me.
E: The customer call with Tokyo is fixed on that day, can it stay?
A: Of course, it is with customers. *Decision:* one line "Decision:" at the end of threads, one day a week without recurring internal meetings, review in six weeks.
`,
  },
  {
    about: 'company',
    times: 3,
    lines: `
A: Did anyone find {thing}? I had {it} in the {room} {yesterday|this morning}.
B: {What does it look like?|Hm, which colour?}
A: {look}
~ 25m
C: Found {it}! At the reception now.
A: You are a hero. Cake is on me. 🍰
`,
    variants: [
      {
        thing: 'a pair of glasses',
        it: 'them',
        room: 'big meeting room',
        look: 'Round, tortoise frame, in a blue case.',
      },
      {
        thing: 'a black umbrella',
        it: 'it',
        room: 'kitchen',
        look: 'Wooden handle, and it is from my grandfather, so I am quite attached to it.',
      },
      {
        thing: 'a silver USB stick',
        it: 'it',
        room: 'phone booth',
        look: 'Says LUMEN DEMO on it, in my terrible handwriting.',
      },
    ],
  },
  // ── small circles ──
  {
    about: 'circle',
    times: 2,
    lines: `
A: {The coffee machine is making that noise again.|Coffee machine update: it now says "descale me" in three languages.}
B: {Did somebody descale it?|Have you tried turning it off and on again?}
C: I did, on Monday. I think it is lonely.
A: {I will talk to it.|Somebody please hug it.} ☕
B?: 😂
`,
  },
  {
    about: 'circle',
    times: 4,
    lines: `
A: There is {cake} in the kitchen, left from {occasion}. First come, first served!
B: {On my way.|Already running.} 🏃
C: Save one for me please, I am stuck in a call until the hour is over.
A: One piece is hidden behind the oat milk. You didn't hear it from me.
C: ❤️
`,
    variants: [
      { cake: 'half a lemon cake', occasion: "Ines's birthday" },
      { cake: 'a tray of baklava', occasion: 'my visit home' },
      { cake: 'banana bread', occasion: 'my stress baking last night' },
      { cake: 'a box of pastéis de nata', occasion: 'the Lisbon team visit' },
    ],
  },
  {
    about: 'circle',
    times: 4,
    lines: `
A: Unpopular opinion time. I go first: {opinion}
B: {Blocked and reported.|I have never felt so betrayed.} 😤
C: No wait, {A} has a point.
D: {A} has no point at all and I will die on this hill.
A: {Democracy is hard.|I knew this group would take it calmly.} 😌
`,
    variants: [
      { opinion: 'tabs are better than spaces.' },
      { opinion: 'pineapple on pizza is fine, the pizza is the problem.' },
      { opinion: 'meetings before 10 should need a permit.' },
      { opinion: 'sequels are usually better than the first film.' },
    ],
  },
  {
    about: 'circle',
    times: 3,
    lines: `
A: What is everyone up to at the weekend?
B: {Hiking if it stays dry.|Painting the hallway. Pray for me.|Absolutely nothing, and I can't wait.}
C: {My parents are visiting, so: cleaning.|Concert on Saturday, sleeping on Sunday.|Football with the kids and then a very long bath.}
D?: {Flea market on Sunday, if somebody wants to join?|I found a place with real ramen, reporting back on Monday. 🍜}
A: {That sounds good. I'll be on the sofa with a book.|You all have a life, impressive.}
`,
  },
  // ── the engineers ──
  {
    about: 'team',
    times: 14,
    lines: `
A: Morning all, async standup please 👇
B: Yesterday: ${done}. Today: ${todo}. ${blocker}
C: Yesterday: ${done}. Today: ${todo}. ${blocker}
D: Yesterday: ${done}. Today: ${todo}. ${blocker}
E?: Yesterday: ${done}. Today: ${todo}. ${blocker}
A: {Thanks! I'll chase what is blocking.|Thank you, looks good.|Thanks all. Remember the freeze on {day+3}.|🙏}
`,
  },
  {
    about: 'team',
    times: 3,
    lines: `
A: 🔴 Alert: {symptom}. I am looking.
B: Need a second pair of eyes?
A: Yes please. Started at {time} UTC, right after {suspect}.
B: Rolling back would take five minutes. Shall we?
A: Do it, we can find the reason afterwards.
~ 7m
B: Rolled back. Error rate is going down.
C: Support has 6 tickets about it, I'll tell them it is being fixed.
~ 15m
A: 🟢 Back to normal since {end} UTC. Impact: {impact}.
A: Root cause: {cause}. Action items: (1) {action}, by me until {day+3}; (2) an alert that would have told us earlier, {B}.
B: Ticket is written. I'll have the alert by {day+2}.
D: Thank you both. Please add it to the postmortem list, I would like to talk about it on {day+4} without blaming anybody.
`,
    variants: [
      {
        symptom: 'login requests time out in the EU region',
        time: '09:14',
        suspect: 'the deploy of 2.0.3',
        end: '09:41',
        impact: 'about 400 people could not sign in for 27 minutes',
        cause: 'the new password check opened a connection for each attempt and the pool ran dry',
        action: 'put the check behind the shared pool',
      },
      {
        symptom: 'messages arrive twice on the web client',
        time: '15:02',
        suspect: 'the broker upgrade',
        end: '15:48',
        impact: 'duplicates for 46 minutes, nothing lost',
        cause: 'consumers acknowledged only after the batch, and the batch was redelivered at a rebalance',
        action: 'make the handler idempotent by message id',
      },
      {
        symptom: 'disk on db-2 is 96% full',
        time: '03:27',
        suspect: 'the nightly export',
        end: '03:55',
        impact: 'none for customers, the export is six hours late',
        cause: 'the export kept its temporary files when it failed, eleven nights in a row',
        action: 'delete temporary files in a finally block',
      },
    ],
  },
  {
    about: 'team',
    times: 4,
    lines: `
A: Design question: how should we {question}?
B: Options I see: (1) {one}; (2) {two}. I lean towards the second.
C: Second for me as well. {why}
D: What about the cost of {cost}?
B: Measured it last week: {measure}
D: Then I'm convinced.
A: Anyone against it? If I hear nothing by {day+1}, 12:00, we do (2).
~ 20h
A: *Decision:* {two}. {B} writes it down in the docs, {C} takes the ticket. 🙌
C: On it.
`,
    variants: [
      {
        question: 'store attachments',
        one: 'in the database, simple and transactional',
        two: 'in object storage with only a key in the database',
        why: 'Backups of 400 GB are no fun.',
        cost: 'orphans in the bucket when a transaction rolls back',
        measure: 'a nightly sweep finds about 30 a day, that is nothing.',
      },
      {
        question: 'number the messages of a conversation',
        one: 'by timestamp',
        two: 'by a counter on the conversation row, given under its lock',
        why: 'Two nodes with two clocks will never agree about time.',
        cost: 'the lock in very busy groups',
        measure: '1,200 messages a second in one conversation, and nobody reads that fast.',
      },
      {
        question: 'version the public API',
        one: 'with /v2 in the path',
        two: 'without versions: only additions, and deprecations with a date',
        why: 'GraphQL gives us @deprecated for free.',
        cost: 'never being able to clean up',
        measure: 'of 40 deprecated fields 37 had no callers after three months.',
      },
      {
        question: 'run the end-to-end tests',
        one: 'on every push',
        two: 'on every push the twenty most important ones, all of them at night',
        why: 'Waiting 25 minutes for a typo fix makes people skip tests altogether.',
        cost: 'bugs that are found only the next morning',
        measure: 'in the last three months that would have been four bugs, none of which reached production.',
      },
    ],
  },
  {
    about: 'team',
    times: 3,
    lines: `
A: Can somebody swap on-call with me? I have {reason} on {day+3}.
B: I could take {day+3} if you take my Sunday.
A: Deal! Sunday suits me.
C: Please change it in the calendar too, the pager reads it from there.
A: Done. Thank you, {B}! 🙏
`,
    variants: [
      { reason: "my daughter's school play" },
      { reason: 'a dentist appointment I have moved twice already' },
      { reason: 'a flight to a wedding' },
      { reason: 'a concert I bought tickets for in March' },
    ],
  },
  {
    about: 'team',
    times: 2,
    lines: `
A: Notes of today's retro, please correct me:⏎⏎What went well⏎- {good1}⏎- {good2}⏎⏎What did not⏎- {bad1}⏎- {bad2}⏎⏎What we change⏎1. {act1} (owner: {B}, until {date+5})⏎2. {act2} (owner: {C}, until {date+8})⏎⏎We look at both in the next retro.
B: {Looks complete to me.|That is what I remember too.}
C: One addition: we also said that reviews should not wait longer than one working day.
A: True, added as number 3. Owner: all of us.
D?: 👍
`,
    variants: [
      {
        good1: 'Pairing on the importer, two people know it now',
        good2: 'No incident caused by a deploy in three weeks',
        bad1: 'Tickets grew while we worked on them',
        bad2: 'The staging data is a year old and hides problems',
        act1: 'Split every ticket that takes more than three days',
        act2: 'Refresh staging data every month, with names made anonymous',
      },
      {
        good1: 'Launch was calm, the checklist helped',
        good2: 'Support and engineering in one channel: answers within the hour',
        bad1: 'Two of us did the same work on the mail delays',
        bad2: 'Flaky tests: eleven reruns in one week',
        act1: 'Whoever begins something says so in the channel first',
        act2: 'Quarantine flaky tests and fix two a week',
      },
    ],
  },
  {
    about: 'team',
    times: 3,
    lines: `
A: {B}, {C}: which of you knows why {why}?
B: History. {history}
C: And nobody dared to touch it since. 😅
A: Would anything break if I {plan}?
B: I don't think so, but run the {suite} tests first, they caught me once.
~ 3h
A: Removed, all green, {lines} lines less. 🧹
C: My favourite kind of pull request!
`,
    variants: [
      {
        why: 'we round amounts twice in the invoice code',
        history: 'The first provider wanted cents, the second wanted four decimals, and then the first came back.',
        plan: 'round only once, at the end',
        suite: 'accounting',
        lines: '140',
      },
      {
        why: 'the worker restarts itself every six hours',
        history: 'There was a memory leak in the image library four years ago.',
        plan: 'switch that off',
        suite: 'soak',
        lines: '60',
      },
      {
        why: 'we have two date pickers',
        history: 'One of them was for a browser that is no longer with us.',
        plan: 'delete the older one',
        suite: 'visual',
        lines: '2,300',
      },
    ],
  },
  // ── support ──
  {
    about: 'support',
    times: 5,
    lines: `
A: Ticket #{ticket}: {problem} {Customer is polite but in a hurry.|Third message from them today.|Enterprise customer, so a bit urgent.}
B: Which {version|browser|plan} are they on?
A: {detail}
B: Known issue: {known}
A: Thanks! I'll tell them {promise}.
~ 4h
A?: They wrote back: "{thanks}" 💚
`,
    variants: [
      {
        ticket: '4812',
        problem: 'the CSV export shows dates in American format.',
        detail: 'Web, Firefox, Business plan, account in Portugal.',
        known: 'the export takes the language of the server, not of the account. Fix comes with 2.0.4 on {day+3}.',
        promise: 'that it is fixed by {day+4}, and how to convert the column until then',
        thanks: 'Fastest answer I ever had from a software company.',
      },
      {
        ticket: '4835',
        problem: 'cannot delete a workspace, the button is grey.',
        detail: 'They are an admin, not the owner.',
        known: 'only owners can, but the tooltip is missing. I opened a bug for the tooltip.',
        promise: 'who the owner is and how to transfer it',
        thanks: 'Of course the owner is my boss who left in May. Could you help with that too?',
      },
      {
        ticket: '4867',
        problem: 'notifications come at three in the morning.',
        detail: 'Android app 3.1, phone set to Auckland.',
        known: 'quiet hours use UTC for time zones beyond +12. Priya is on it.',
        promise: 'to switch quiet hours off and on again after the next update',
        thanks: 'I slept through the night, thank you!',
      },
      {
        ticket: '4901',
        problem: 'was charged twice in November.',
        detail: 'Card, monthly plan, changed the seat count on the first of the month.',
        known:
          'both charges are real but one is a pro-rata credit that the provider shows late. It evens out within five days.',
        promise: 'that they get it back by {date+5} and otherwise a manual refund',
        thanks: 'It is back on my account. Thanks for explaining it properly.',
      },
      {
        ticket: '4944',
        problem: 'the import stops at 38 percent every time.',
        detail: 'A file of 2.6 GB from their old system.',
        known: 'the limit is 2 GB. Splitting it by year works, there is a script in the help centre.',
        promise: 'how to split the file, and that we raise the limit next quarter',
        thanks: 'Worked with two files. You saved my weekend.',
      },
    ],
  },
  {
    about: 'support',
    lines: `
A: We need a rule for refunds after the trial. Yesterday two of us answered differently to the same question.
B: What did you say?
A: I refunded the whole month, {C} only the unused days.
C: Guilty. I went by the old article.
B: Proposal: within 14 days everything, after that the unused days, no questions asked below 100 euros.
D: Finance is fine with that. Above 100 euros please ask me first.
A: *Decision:* 14 days in full, then unused days; above 100 euros ask {D}. I'll rewrite the article by {day+1}.
C: And I'll update the saved replies. ✍️
`,
  },
  {
    about: 'support',
    times: 4,
    lines: `
A: Weekly numbers: {tickets} tickets, first answer after {minutes} minutes (median), {score}% happy. Top topics: {topics}.
B: {reaction}
C: Can we get one of the engineers to look at the first topic? It's the same question every day.
D: Put it on my list, I'll look at it on {day+2}.
A: 🙏
`,
    variants: [
      {
        tickets: '214',
        minutes: '38',
        score: '94',
        topics: 'import, invoices, two-factor login',
        reaction: 'Up 20% since the launch, but the answers got faster. Proud of us!',
      },
      {
        tickets: '187',
        minutes: '31',
        score: '96',
        topics: 'import, notifications, seats',
        reaction: '96 is our best week this year. 🎉',
      },
      {
        tickets: '243',
        minutes: '55',
        score: '89',
        topics: 'mail delays, import, exports',
        reaction: 'That was the mail incident. Without it we would be at 93.',
      },
      {
        tickets: '176',
        minutes: '29',
        score: '95',
        topics: 'invoices, exports, language settings',
        reaction: 'Quiet week. Time for the articles we never finish.',
      },
    ],
  },
  // ── hobbies ──
  {
    about: 'books',
    times: 2,
    lines: `
A: Time to choose the next book! Suggestions please, one each.
B: "{one}". Short, so that even I will finish it.
C: "{two}". My sister has been talking about it for a year.
D: I'd like something translated for a change: "{three}".
A: Vote with the first word of the title until {day+2}, evening.
B: {three}
C: Fine, I change sides: {three}
A: *Decision:* {three}. We meet on {sat} at 17:00, {place}.
D: Yay! I'll bring biscuits. 📚
`,
    variants: [
      { one: 'Convenience Store Woman', two: 'Middlemarch', three: 'The Master and Margarita', place: 'at my place' },
      {
        one: 'Train Dreams',
        two: 'Wolf Hall',
        three: 'The Time Regulation Institute',
        place: 'online, so that Toronto can join',
      },
      {
        one: 'Foster',
        two: 'Bleak House',
        three: 'Season of Migration to the North',
        place: 'in the café by the river',
      },
    ],
  },
  {
    about: 'books',
    times: 3,
    lines: `
A: How far is everyone? I am at page {page} and {feeling}
B: {Finished!|Halfway.} No spoilers, but {hint}
C: {I fell asleep on page 12, three evenings in a row. It is me, not the book.|I am listening to it while cooking, which leads to burnt onions.}
A: Is the middle part really as slow as they say?
B: It is slow on purpose, I think. {theory}
D?: I wrote four pages of notes. Prepare yourselves. 😇
C: See you on {sat} then, prepared or not!
`,
    variants: [
      {
        page: '180',
        feeling: 'I do not trust the narrator any more.',
        hint: 'keep an eye on the letters.',
        theory: 'One is supposed to wait as the sister waits.',
      },
      {
        page: '96',
        feeling: 'I already miss the city in it.',
        hint: 'the ending divides people, so we will have something to argue about.',
        theory: 'It makes the last thirty pages hit much harder.',
      },
      {
        page: '240',
        feeling: 'I laughed out loud on the bus.',
        hint: 'the translator deserves a prize.',
        theory: 'Nothing happens, and then you notice that everything has happened.',
      },
    ],
  },
  {
    about: 'running',
    times: 4,
    lines: `
A: Sunday long run: {km} km, {route}. Start at {time}, who's in?
B: In! {Pace?|How fast?}
A: Easy, about {pace} a kilometre. Nobody gets left behind.
C: I'm out this week, my knee says no. {Have fun!|Next time!}
D?: In for the first half, then coffee. ☕
~ sun
B: Legs are gone but it was lovely. {weather}
A: {km} km done, well run everybody! 🏃
`,
    variants: [
      {
        km: '14',
        route: 'along the river and back',
        time: '8:30',
        pace: '6:10',
        weather: 'Frost on the bridge and the sun coming up, wow.',
      },
      { km: '18', route: 'twice around the lake', time: '9:00', pace: '6:20', weather: 'We only got rained on twice.' },
      {
        km: '10',
        route: 'through the park with the hills',
        time: '8:00',
        pace: '5:50',
        weather: 'Who put that last hill there?',
      },
      {
        km: '21',
        route: 'the half marathon course, as a test',
        time: '7:45',
        pace: '6:00',
        weather: 'Fog so thick that I lost {A} twice.',
      },
    ],
  },
  {
    about: 'running',
    lines: `
A: Registration for the spring half marathon opens on {date+3}. Last year it was full in two hours. Shall we enter as a team?
B: Yes! How many do we need?
A: At least four for the team ranking, 42 euros each until the end of the month.
C: Count me in. Goal: finish and smile in the photo.
D: In. Goal: below two hours, don't laugh.
B: We don't laugh, we pace you. 💪
A: Great, four it is. I register us on the day and send you a link for the payment. Please do it by {date+6}.
`,
  },
  {
    about: 'photos',
    times: 3,
    lines: `
A: Photo walk on {sat}? The light in the {place} is great at this time of the year.
B: I'm in. {Digital or film?|Colour or black and white?}
A: Bring what you like. Theme: {theme}.
C: Could we start before sunrise? Around 7:10?
B: On a Saturday. You people are cruel. Fine.
~ sat
A: Favourites please! I start with the one of the {shot}.
C: Oh, that one is beautiful. The {detail}!
B: Mine are all blurred, I call it impressionism. 📷
`,
    variants: [
      { place: 'old harbour', theme: 'one colour only', shot: 'cranes in the fog', detail: 'red of the buoy' },
      { place: 'botanical garden', theme: 'hands', shot: 'gardener with the roses', detail: 'light on the sleeve' },
      { place: 'market hall', theme: 'reflections', shot: 'fish stall in the puddle', detail: 'upside-down lettering' },
    ],
  },
  {
    about: 'photos',
    times: 2,
    lines: `
A: Which lens would you take for {use}, if you could take only one?
B: {first}. You'll want the light more than the reach.
C: I'd say {second}. A zoom keeps your feet out of trouble.
A: And weight? I carry it all day.
B: {weight}
A: Sold. Is it worth buying used?
B: Yes, mine is. Check the aperture blades and the rear glass, and pay not more than {price} euros.
A: Thank you both! 🙏
`,
    variants: [
      {
        use: 'a wedding',
        first: 'The 35 mm f/1.8',
        second: 'the 24–70',
        weight: 'The 35 weighs less than a sandwich.',
        price: '280',
      },
      {
        use: 'three weeks of hiking',
        first: 'A small 28 mm',
        second: 'the 16–80',
        weight: '115 grams, you forget that it is there.',
        price: '190',
      },
    ],
  },
  // ── two at work ──
  {
    about: 'work',
    lines: `
A: {Hi|Hey|Morning} {B}, did {release} go out?
B: {Not yet.|Almost.} {reason}
A: Understood. Should I tell the customers something?
B: Say {day+1}. If it slips again, I'll tell you before noon.
A: {Perfect|Good}, thanks!
~ 1d
B: It's out. ✅ {note}
A: 🎉 {Great work.|You made my day.}
`,
    variants: [
      {
        release: 'the 2.0.4 patch',
        reason: 'One test fails on the oldest Android we support.',
        note: 'Release notes are in the usual place.',
      },
      {
        release: 'the new invoice layout',
        reason: 'The French version breaks after the second page.',
        note: 'Old invoices keep the old layout, as legal asked.',
      },
      {
        release: 'the search beta',
        reason: 'Indexing takes nine hours and I want to see it finish once.',
        note: 'Only for the twelve beta customers so far.',
      },
      {
        release: 'the importer fix',
        reason: 'Ops found something in the load test yesterday evening.',
        note: 'Files up to 2 GB, and it resumes after a broken connection.',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Could you have a look at my pull request when you have a moment? "{title}", about {size} lines.
B: Sure, after lunch. Anything I should pay attention to?
A: {focus}
~ 2h
B: Read it. Nice work! Two questions: {question} And is there a test for the empty list?
A: First one: {answer} Second: no, good point, adding it.
~ 40m
A: Pushed. The test found a bug, of course. 😅
B: They always do. Approved. 👍
`,
    variants: [
      {
        title: 'Retry uploads after a broken connection',
        size: '180',
        focus: 'The backoff, please. I was not sure whether to add jitter.',
        question: 'why 30 seconds as the maximum?',
        answer: 'because the load balancer cuts at 35, I put it into a comment.',
      },
      {
        title: 'Cache the permission checks',
        size: '90',
        focus: 'Invalidation. It always is invalidation.',
        question: 'what happens when somebody is removed from a group?',
        answer: 'the change log carries it, so the entry goes away within a second.',
      },
      {
        title: 'Keyboard navigation in the conversation list',
        size: '240',
        focus: 'Screen readers: I only tested with one.',
        question: 'should Escape go back to the list or close it?',
        answer: 'the designers say back to the list, it is in the design notes.',
      },
      {
        title: 'Drop the legacy report format',
        size: '600, but 550 of them deleted',
        focus: 'Whether anything still reads it. I found nothing in the logs of 90 days.',
        question: 'did you ask the finance team?',
        answer: 'yes, they confirmed that they moved in September.',
      },
    ],
  },
  {
    about: 'work',
    times: 2,
    lines: `
A: Can we move our {meeting}? {excuse}
B: {Sure.|No problem.} {time1} instead?
A: {time2} would be even better, if you can.
B: Works. I'll change the invitation.
A: Thank you! 🙏
`,
    variants: [
      {
        meeting: 'one-on-one',
        excuse: 'The plumber comes exactly then.',
        time1: '{day+1} at 10:00',
        time2: '{day+1} at 11:30',
      },
      {
        meeting: 'planning session',
        excuse: 'I have been pulled into a customer call.',
        time1: 'This afternoon at 16:00',
        time2: '{day+1} at 9:30',
      },
      {
        meeting: 'call about the roadmap',
        excuse: 'My train is 50 minutes late.',
        time1: 'In an hour',
        time2: 'after lunch, say 13:30,',
      },
      {
        meeting: 'demo',
        excuse: 'Staging is down until noon.',
        time1: '{day+2}, same time',
        time2: '{day+2} at 15:00',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Are you coming to {conference}? They accepted our talk! 🎉
B: Congratulations! When is it?
A: {when}. The talk is on the second day.
B: Then yes, if the budget allows it. What would it be, all in?
A: Ticket {ticket}, train {train}, two nights {hotel}. So about {total} euros each.
B: I'll ask for approval today. Shall we share the slides? You do the story, I do the numbers.
A: Deal. First draft by {day+4}?
B: {day+4} it is. And book the hotel near the station please, last time we walked for an hour in the rain.
A: 😂 Never again. Booked until further notice, free cancellation.
`,
    variants: [
      {
        conference: 'the GraphQL days in Hamburg',
        when: '12 to 14 March',
        ticket: '450',
        train: '120',
        hotel: '240',
        total: '810',
      },
      {
        conference: 'the support leaders meetup in Porto',
        when: '5 and 6 February',
        ticket: '180',
        train: '210 (flight, sadly)',
        hotel: '190',
        total: '580',
      },
      {
        conference: 'the design week in Milan',
        when: '20 to 22 April',
        ticket: '300',
        train: '160',
        hotel: '320',
        total: '780',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Do you know where the {doc} is? I have been searching the wiki for ten minutes.
B: {where}
A: Found it, thanks! It says "{quote}", is that still true?
B: Not since {since}. Could you change it while you are there? {truth}
A: Done. Future me says thank you. 📝
`,
    variants: [
      {
        doc: 'holiday policy',
        where: 'Under People → Benefits, of all places.',
        quote: 'requests need four weeks',
        since: 'spring',
        truth: 'Two weeks are enough, one for single days.',
      },
      {
        doc: 'deployment guide',
        where: 'In the repository, docs/deploy.md. The wiki page is a ghost.',
        quote: 'deploy from the jump host',
        since: 'the move to containers',
        truth: 'A merge to main deploys to staging, a tag deploys to production.',
      },
      {
        doc: 'brand guide',
        where: 'Pinned in the design folder, "Lumen brand v3".',
        quote: 'primary blue is #1B4DFF',
        since: 'October',
        truth: 'It is #2453FF now, for the contrast.',
      },
      {
        doc: 'list of approved suppliers',
        where: 'Finance keeps it in their folder, "suppliers-current".',
        quote: 'three offers above 500 euros',
        since: 'July',
        truth: 'Three offers only above 2,000.',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: The customer from {company} is not happy. They say {complaint}
B: Ouch. Are they right?
A: Mostly. {truth}
B: What would help them today?
A: {help}
B: Then let's do that and be honest about the rest. Could you draft the mail and I'll read it?
~ 1h
A: "{mail}" – too much?
B: Just right. Short, no excuses, with a date. Send it.
~ 1d
A: They answered: "Thank you for taking this seriously." We still have a customer. 😌
`,
    variants: [
      {
        company: 'Nordhaus',
        complaint: 'they waited nine days for an answer.',
        truth: 'The ticket was assigned to somebody on parental leave.',
        help: 'A call with an engineer, their question is about the API.',
        mail: 'You waited nine days because we assigned your ticket to somebody who was away. That is our mistake and we changed the assignment today. May we call you on {day+1} at 10:00 and solve it together?',
      },
      {
        company: 'Casa Verde',
        complaint: 'half of their images vanished after the update.',
        truth: 'The images are there, but the thumbnails of the large ones were not generated.',
        help: 'Generating them tonight, it takes four hours.',
        mail: 'None of your images is lost. Our update failed to make previews of the large ones; we make them tonight, and on {day+1} at 8:00 everything is visible again. We are sorry for the scare.',
      },
      {
        company: 'Bluebird Clinics',
        complaint: 'the invoice is 30% higher than the offer.',
        truth: 'The offer was for 40 seats and they use 52, but nobody told them when they went over.',
        help: 'Charging 40 seats for this month and a warning before the next one.',
        mail: 'You use 52 seats and we never told you that you passed 40. This month we charge 40, as in our offer. From now on you get a notice before the bill changes, not after.',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: How was the interview with {name}?
B: {impression}
A: Concerns?
B: {concern}
A: Would you hire?
B: {verdict}
A: Thank you, that is really useful. I'll collect the other two opinions and we decide on {day+1}.
~ 1d
A: *Decision:* {decision}
B: {Good.|Makes sense to me.} 👍
`,
    variants: [
      {
        name: 'the backend candidate',
        impression: 'Very good. Calm, precise, asked better questions than I did.',
        concern: 'Has never worked remotely, we should talk about that openly.',
        verdict: 'Yes, as a senior.',
        decision: 'we make an offer, start in February if all goes well.',
      },
      {
        name: 'Mr. Okafor for the support role',
        impression: 'Warm and quick. Solved the angry-customer exercise by first asking what had happened.',
        concern: 'Little experience with SQL, but can learn it.',
        verdict: 'Yes, without hesitation.',
        decision: 'offer goes out today.',
      },
      {
        name: 'the agency candidate',
        impression: 'Nice person, strong portfolio, but most of it was teamwork and it was hard to see the own part.',
        concern: 'Contradicted themselves about dates twice.',
        verdict: 'Not for this role.',
        decision: 'we decline kindly and keep looking.',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: I need {amount} euros approved for {thing}. Is that with you or with {boss}?
B: Below 1,000 it's with me. What do we get for it?
A: {benefit}
B: And if we don't?
A: {otherwise}
B: Clear enough. Approved, please put the invoice on cost centre {centre}.
A: Thanks! That was faster than the form. 😄
`,
    variants: [
      {
        amount: '640',
        thing: 'two monitors for the new colleagues',
        boss: 'the head of engineering',
        benefit: 'They start on {day+3} and would otherwise work on laptops only.',
        otherwise: 'Sore necks and a bad first week.',
        centre: '4100',
      },
      {
        amount: '900',
        thing: 'a penetration test of the login',
        boss: 'finance',
        benefit: 'A report that two enterprise customers have asked for.',
        otherwise: 'Sales says one of them will not sign.',
        centre: '7300',
      },
      {
        amount: '350',
        thing: 'the stock photos for the campaign',
        boss: 'marketing',
        benefit: 'Twelve pictures, licence for five years.',
        otherwise: 'We use my holiday photos. Nobody wants that.',
        centre: '5200',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Weird bug: {bug}
B: Can you reproduce it?
A: Only {when}.
B: Hm. Does it happen {check}?
A: Let me see … no! Only there.
B: Then I think it's {theory}
~ 50m
A: You were right. {fix} How did you know?
B: I lost a whole weekend to the same thing two years ago. 🫠
`,
    variants: [
      {
        bug: 'names with an apostrophe lose everything after it.',
        when: 'in the PDF export',
        check: 'with the HTML preview too',
        theory: 'the old template engine, it treats the typographic apostrophe as a quote.',
        fix: 'Escaped it, works.',
      },
      {
        bug: 'the clock in the app is one hour wrong for some people.',
        when: 'with phones from Brazil',
        check: 'with the web client',
        theory: 'the time zone data on Android, Brazil dropped daylight saving in 2019.',
        fix: 'Shipping our own data solved it.',
      },
      {
        bug: 'the first message after a reconnect is missing.',
        when: 'when the laptop wakes up',
        check: 'when you only switch the network off and on',
        theory: 'that the cursor is stored before the message is shown, and sleep comes in between.',
        fix: 'Changed the order, cannot reproduce it any more.',
      },
      {
        bug: 'emoji turn into question marks.',
        when: 'in notification mails to one provider',
        check: 'if you send it to yourself',
        theory: 'the subject line, it is not encoded.',
        fix: 'RFC 2047 and done.',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Quick summary of the call with {customer}, since you could not make it:⏎⏎• They have {seats} seats and want {want} by next summer.⏎• Blocker for them is {blocker}.⏎• They liked {liked}.⏎• Budget is decided in {month}; the person to convince is {person}.⏎⏎I promised them an answer about the blocker by {date+4}.
B: Thank you, this is great. On the blocker: {answer}
A: Can I tell them that?
B: Yes, but as a plan, not as a promise.
A: Understood. Will send it today and put you in copy.
`,
    variants: [
      {
        customer: 'Helvetia Rail',
        seats: '120',
        want: '400',
        blocker: 'single sign-on',
        liked: 'that the data can stay on their own servers',
        month: 'January',
        person: 'their head of security',
        answer: 'SAML is planned for the first quarter, OIDC works today.',
      },
      {
        customer: 'Universidad del Sur',
        seats: '900',
        want: '3,500',
        blocker: 'the price per student',
        liked: 'the languages',
        month: 'March',
        person: 'the vice-rector',
        answer: 'we can offer the education plan, it is 70% less and needs a signed form.',
      },
      {
        customer: 'Marmara Logistics',
        seats: '60',
        want: '250',
        blocker: 'offline use in the warehouses',
        liked: 'the speed on old phones',
        month: 'December',
        person: 'the CFO',
        answer: 'sending offline works, reading old messages offline comes in 2.2.',
      },
    ],
  },
  // ── two friends ──
  {
    about: 'friends',
    lines: `
A: {Are you free on Friday evening?|Dinner on Friday?} There is a new {place} near the {where}.
B: {Yes!|I'd love to.} What time?
A: {time}? I could book a table.
B: Make it half an hour later, I have to {errand} first.
A: Done, table for two, under my name. 🍽️
~ 3h
B: I looked at the menu. I already know what I'm having, and what you are having too.
A: 😂 See you there.
`,
    variants: [
      { place: 'Georgian restaurant', where: 'old cinema', time: '19:00', errand: 'feed the cat' },
      { place: 'noodle bar', where: 'canal', time: '18:30', errand: 'return a library book' },
      { place: 'Lebanese place', where: 'station', time: '20:00', errand: 'drop the kids at my parents' },
      { place: 'tiny pizzeria', where: 'park', time: '19:30', errand: 'finish a call with Austin' },
    ],
  },
  {
    about: 'friends',
    lines: `
A: I am moving on {sat}. Could you help me carry {thing}? There will be pizza.
B: For pizza I carry anything. {floor} floor?
A: {answer}
B: … Two pizzas then.
A: Deal. Ten o'clock, and bring gloves.
~ sat
B: I can't feel my arms.
A: But {thing} looks so good here! Thank you a thousand times. ❤️
`,
    variants: [
      { thing: 'the piano', floor: 'Ground', answer: 'Fourth. But there is a lift! It is broken, but there is one.' },
      { thing: 'eleven boxes of books', floor: 'Which', answer: 'Third, with a very charming spiral staircase.' },
      { thing: 'the washing machine', floor: 'Which', answer: 'Second. Out of the fifth, though.' },
    ],
  },
  {
    about: 'friends',
    times: 3,
    lines: `
A: {Lunch?|Lunch today?|Hungry?}
B: {Yes please.|Always.} {12:30|12:45|1 pm}?
A: {Perfect, usual place.|See you downstairs.|Can we do soup? It's freezing.}
B: 👍
`,
  },
  {
    about: 'friends',
    lines: `
A: Have you seen "{film}" yet?
B: {No, is it good?|Not yet! Worth it?}
A: {review}
B: Sold. {cinema}
A: I'd even see it again. {When?|When suits you?}
B: {day+2}, the 20:15 show?
A: It's a date. I'll get the tickets, you get the popcorn. 🍿
`,
    variants: [
      {
        film: 'The Lighthouse Keepers',
        review: 'Slow for twenty minutes and then I forgot to breathe.',
        cinema: 'They show it in the small cinema with the sofas.',
      },
      {
        film: 'Night Bus to Tbilisi',
        review: 'Funny and sad at once. The music alone is worth it.',
        cinema: 'The Odeon has it with subtitles.',
      },
      {
        film: 'Paper Kites',
        review: 'I cried and I am not even sorry.',
        cinema: 'It runs until the end of the week only.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: What do we give {who} for {occasion}? It's on {date+5}.
B: {idea1}?
A: {objection}
B: Right. Then {idea2}. About {price} euros each if four of us join.
A: That's it! Who asks the others?
B: I will. Can you order it? You have the account.
A: Ordered, comes on {day+3}. I'll wrap it, you write the card.
B: You know my handwriting. Fine. 🎁
`,
    variants: [
      {
        who: 'Nadia',
        occasion: 'her 40th',
        idea1: 'A weekend in a spa',
        objection: 'She would take her laptop with her.',
        idea2: 'a bread-baking course with that baker she follows',
        price: '35',
      },
      {
        who: 'Tom',
        occasion: 'the new flat',
        idea1: 'A plant',
        objection: 'He has killed a cactus. A cactus!',
        idea2: 'a really good toolbox',
        price: '25',
      },
      {
        who: 'my parents',
        occasion: 'their anniversary',
        idea1: 'A photo book',
        objection: 'They got one from us three years in a row.',
        idea2: 'tickets for the steam train, with lunch',
        price: '40',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: I need your recipe for {dish}. Guests at {time} and I am panicking.
B: Don't panic. {step1}
A: Okay. And then?
B: {step2} Do NOT {warning}.
A: Why not?
B: Trust me.
~ 2h
A: I {warning2}. You were right. 😬
B: 😂😂 Order pizza, say it was the plan.
~ 3h
A: They loved the pizza. And the salad. I love you.
`,
    variants: [
      {
        dish: 'the risotto',
        time: '19:30',
        step1: 'Fry one onion slowly, add 320 g of rice, stir for two minutes, then a glass of white wine.',
        step2: 'Hot stock, one ladle at a time, 17 minutes.',
        warning: 'answer the phone while stirring',
        warning2: 'answered the phone',
      },
      {
        dish: 'your chocolate cake',
        time: '16:00',
        step1: 'Melt 200 g chocolate with 150 g butter, beat four eggs with 120 g sugar, fold it together.',
        step2: 'Two spoons of flour, 25 minutes at 170 degrees.',
        warning: 'open the oven before minute 20',
        warning2: 'opened the oven',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: I won't make it {today|tonight}, I'm ill. {symptom}
B: Oh no! Do you need anything?
A: {need}
B: I'll bring it at {time} and put it in front of the door.
A: You're an angel.
~ 1d
B: How are you feeling?
A: {better}
B: {Good. Stay in bed anyway!|Good! No heroics please.} 🤒
`,
    variants: [
      {
        symptom: 'Fever and a voice like a raven.',
        need: 'Lemons, ginger, and somebody to feel sorry for me.',
        time: '18:00',
        better: 'Fever is down, the raven stays.',
      },
      {
        symptom: 'Migraine since this morning.',
        need: 'Nothing, only darkness. And maybe soup.',
        time: '13:00',
        better: 'Like a person again. The soup helped!',
      },
      {
        symptom: 'The whole family has it, the dog included.',
        need: 'Rice, bananas and patience.',
        time: '17:30',
        better: 'Two of four are up. The dog was faking.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Tickets for {band} go on sale {tomorrow|on {day+1}} at 10. Are we going?
B: Is that even a question?! How much?
A: {price} standing, {price2} seats.
B: Standing, we are young.
A: My back disagrees, but okay. I'll try, you try, whoever gets through buys two.
~ 1d
B: Queue position 14,302. 😭
A: I'm in! Two tickets, {when}, block {block}.
B: AAAAAH 🎶🎶🎶 I send you the money right now.
`,
    variants: [
      { band: 'the Paper Lanterns', price: '48', price2: '72', when: '3 May', block: 'B' },
      { band: 'Nine Rivers', price: '55', price2: '80', when: '17 April', block: 'F' },
      { band: 'that Malian guitarist you like', price: '34', price2: '45', when: '28 February', block: 'A' },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Can I ask you something about {language}? How do I say "{phrase}" without sounding like a robot?
B: {answer}
A: And is it rude with older people?
B: {polite}
A: Thank you! I'll practise on my neighbour. 😅
B: {Report back.|Tell me how it went!}
~ 1d
A: The neighbour answered for ten minutes. I understood "good morning" and "cat". Success!
`,
    variants: [
      {
        language: 'German',
        phrase: 'no worries',
        answer: '"Kein Ding" among friends, "kein Problem" everywhere.',
        polite: 'Take "gar kein Problem" and smile.',
      },
      {
        language: 'Spanish',
        phrase: 'no worries',
        answer: '"No pasa nada". Works for spilled coffee and for broken hearts.',
        polite: 'Not at all, "no se preocupe" is even nicer.',
      },
      {
        language: 'Portuguese',
        phrase: 'see you soon',
        answer: '"Até já" if you mean minutes, "até breve" if you mean days.',
        polite: 'Both are fine.',
      },
      {
        language: 'Turkish',
        phrase: 'well done',
        answer: '"Eline sağlık" for anything made by hand, food above all.',
        polite: 'No, older people love it: "ellerinize sağlık".',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: You won't believe what happened. {story}
B: {No!|Wait, what?} And then?
A: {next}
B: I can't breathe 😂😂😂
A: {end}
B: Please write a book one day.
`,
    variants: [
      {
        story: 'I locked myself out in my pyjamas while taking out the rubbish.',
        next: 'My neighbour opened and I had to wait for the locksmith on her sofa, watching a documentary about otters.',
        end: '140 euros for the locksmith, but I know everything about otters now.',
      },
      {
        story: 'I waved back at somebody in the station for a whole minute.',
        next: 'She was cleaning the window.',
        end: 'We both laughed, and then my train left without me.',
      },
      {
        story: 'The video call, the whole board, and my son walks in.',
        next: 'He says: "Papa, you said these people are boring, but the one with the hat looks nice."',
        end: 'The one with the hat is now his biggest fan.',
      },
      {
        story: 'I gave the wrong address to the cake delivery.',
        next: 'Some stranger three streets away had a birthday. Really. They thought it was from the parents-in-law.',
        end: 'They invited me over. The cake was excellent.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Training plan day {n}: {what}. Why am I doing this to myself?
B: Because you registered after two glasses of wine. 🍷
A: True. How is your {body}?
B: {how}
A: Shall we run together on {day+2}? Slowly. Very slowly.
B: Yes, 7 am before the heat of my inbox. {Route along the water?|Same route?}
A: {See you at the bridge.|At the fountain, as always.} 🏃
`,
    variants: [
      { n: '9', what: '8 km with hills', body: 'ankle', how: 'Better, the physio allows 5 km again.' },
      { n: '23', what: 'intervals, six times 800 m', body: 'knee', how: 'It creaks like an old door, but it opens.' },
    ],
  },
];
