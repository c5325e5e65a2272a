import type { Script } from '../script.js';

export const portuguese: readonly Script[] = [
  {
    about: 'work',
    lines: `
A: {Bom dia|Olá} {B}! Consegues ver {coisa} hoje?
B: {Consigo à tarde.|Sim, depois do almoço.} É urgente?
A: Um bocado, {razao}.
B: Então vejo já.
~ 45m
B: Visto. {parecer}
A: Ótimo, {A:obrigado/obrigada}! Corrijo e envio até {day+1}.
B: 👍 Se precisares de ajuda com {ajuda}, diz.
`,
    variants: [
      {
        coisa: 'o texto da campanha',
        razao: 'a gráfica fecha às seis',
        parecer: 'Muito bom. Só tirava um dos três pontos de exclamação. 😄',
        ajuda: 'as imagens',
      },
      {
        coisa: 'os casos de teste do importador',
        razao: 'o congelamento do código é amanhã',
        parecer: 'Falta o ficheiro vazio e o ficheiro com acentos no nome.',
        ajuda: 'os dados de teste',
      },
      {
        coisa: 'a apresentação para o cliente do Porto',
        razao: 'a reunião passou para amanhã cedo',
        parecer: 'A página 7 tem os números do ano passado.',
        ajuda: 'o gráfico',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Encontrei um erro {onde}: {erro}
B: Isso acontece sempre?
A: Só {quando}. Testei cinco vezes.
B: Abre um ticket, por favor, com os passos. Eu olho amanhã de manhã.
A: Já abri, é o {num}. Prioridade alta?
B: {prioridade}
~ 1d
B: Corrigido na versão {versao}. Podes confirmar?
A: Confirmo, tudo verde. ✅ {Bom trabalho!|Valeu!}
`,
    variants: [
      {
        onde: 'no login',
        erro: 'depois de mudar a senha, a sessão antiga continua aberta.',
        quando: 'no telemóvel',
        num: '#2231',
        prioridade: 'Alta, é segurança.',
        versao: '2.0.5',
      },
      {
        onde: 'na fatura',
        erro: 'o total aparece com três casas decimais.',
        quando: 'com descontos',
        num: '#2240',
        prioridade: 'Média, mas antes do fim do mês.',
        versao: '2.0.6',
      },
      {
        onde: 'na pesquisa',
        erro: 'quem procura «João» não encontra «Joao».',
        quando: 'na aplicação web',
        num: '#2252',
        prioridade: 'Média. Os acentos dão sempre trabalho.',
        versao: '2.1.0',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: E aí, {bora|vamos} {plano} no sábado?
B: {Bora!|Claro!} A que horas?
A: {hora}. {ponto}
B: Fechado. Eu levo {levo}.
A: E avisa a Rita, ela queria vir também.
B: Aviso. Se chover?
A: Se chover, {chuva}. 😎
~ sun
B: {fim}
A: Foi bom demais. ❤️
`,
    variants: [
      {
        plano: 'surfar na Caparica',
        hora: 'Sete da manhã',
        ponto: 'Encontramo-nos no parque da praia.',
        levo: 'café e sandes',
        chuva: 'surfamos na mesma, já estamos molhados',
        fim: 'Ainda tenho areia nos ouvidos.',
      },
      {
        plano: 'fazer um churrasco',
        hora: 'Meio-dia',
        ponto: 'Lá em casa, tem espaço no quintal.',
        levo: 'a picanha e o carvão',
        chuva: 'a gente assa debaixo do toldo',
        fim: 'Comi para três dias.',
      },
      {
        plano: 'ver o jogo',
        hora: 'Às 20h',
        ponto: 'No bar da esquina, telão novo.',
        levo: 'a corneta',
        chuva: 'tanto faz, é lá dentro',
        fim: 'Perdemos, mas o pastel estava ótimo.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Preciso de um conselho: {duvida}
B: Hmm. {pergunta}
A: {resposta}
B: Então, na minha opinião, {opiniao}.
A: Faz sentido. Vou dormir sobre o assunto.
~ 1d
A: Decidi: {decisao}
B: Boa! Vais ver que não te arrependes. 🙌
`,
    variants: [
      {
        duvida: 'compro carro ou continuo de comboio?',
        pergunta: 'Quantas vezes por mês precisas mesmo de um carro?',
        resposta: 'Duas, talvez três.',
        opiniao: 'aluga quando precisares e gasta o resto em viagens',
        decisao: 'fico com o comboio e vou aos Açores em maio.',
      },
      {
        duvida: 'aceito dar aulas à noite?',
        pergunta: 'São quantas horas por semana?',
        resposta: 'Quatro, às terças e quintas.',
        opiniao: 'experimenta um semestre, tu adoras ensinar',
        decisao: 'aceitei, começo em fevereiro.',
      },
      {
        duvida: 'corto o cabelo bem curto?',
        pergunta: 'Há quanto tempo pensas nisso?',
        resposta: 'Há três anos.',
        opiniao: 'três anos é tempo de sobra, corta',
        decisao: 'cortei! Mando foto quando tiver coragem.',
      },
    ],
  },
  {
    about: 'friends',
    times: 3,
    lines: `
A: {Cafezinho?|Almoço?|Um cafezinho rápido?}
B: {Já vou.|Dez minutinhos.|Só se for agora!}
A: {Tou cá em baixo.|Guardo-te lugar.|☕☕}
`,
  },
  {
    about: 'circle',
    lines: `
A: Pessoal, {assunto}. Quem pode?
B: Eu posso {b}.
C: Eu fico com {c}.
A: {A:Obrigado/Obrigada}, vocês são os melhores! Falta só {falta}.
B: A minha mãe tem, eu peço.
A: Resumo: {B} {b}, {C} {c}, e eu trato do resto. Domingo às {hora}.
~ sun
C: Que domingo lindo. {nota}
B: 📸 As fotos estão na pasta!
`,
    variants: [
      {
        assunto: 'vamos organizar o churrasco de domingo',
        b: 'com as bebidas',
        c: 'a salada e a farofa',
        falta: 'uma grelha maior',
        hora: '12h30',
        nota: 'Comi tanto que jantei água.',
      },
      {
        assunto: 'o aniversário da avó é no domingo',
        b: 'levar as velas',
        c: 'o bolo de cenoura',
        falta: 'uma toalha grande',
        hora: '16h',
        nota: 'Ela chorou com o vídeo!',
      },
    ],
  },
  {
    about: 'circle',
    lines: `
A: Alguém recomenda {procura}?
B: {sugestao}
C: Concordo, e {extra}.
A: Preço?
B: {preco}
A: Perfeito, vou marcar para {day+3}. {A:Obrigado/Obrigada}! 🙏
`,
    variants: [
      {
        procura: 'um canalizador de confiança',
        sugestao: 'O Sr. Américo. Atrasa-se sempre, mas faz bem feito.',
        extra: 'ainda conta histórias da tropa',
        preco: 'Uns 40 euros à hora.',
      },
      {
        procura: 'um sítio para jantar com doze pessoas',
        sugestao: 'A tasca da Dona Lurdes, tem uma sala atrás.',
        extra: 'o arroz de pato é o melhor da cidade',
        preco: 'À volta de 18 euros por pessoa.',
      },
      {
        procura: 'um curso de inglês à noite',
        sugestao: 'A escola ao pé da estação, fiz lá dois anos.',
        extra: 'a professora é de Glasgow, depois dela percebes toda a gente',
        preco: '65 por mês.',
      },
    ],
  },
  {
    about: 'circle',
    times: 3,
    lines: `
A: {Bom dia, grupo!|Bom dia, gente boa!} ☀️
B: {Bom dia! Aqui um frio de rachar.|Bom diaaa, sexta-feira no coração.}
C: {Bom dia para quem já tomou café. ☕|Bom dia! Alguém viu o jogo ontem?}
`,
  },
];
